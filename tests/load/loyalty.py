"""`python tests/load loyalty`: postings a second, as ratios to pgbench's tpcb-like on the same server in one run.

Single postings are one call each, by eight connections: spread over all accounts, and on one. Batches are orders from
decoded events to the commit, as one worker handles them, and two at once: workers scale by themselves, and pgbench has
both cores as well. What follows a commit (tiers derived, facts published) is left out of that figure, as nothing
follows those of pgbench and of single postings: the service stands still meanwhile. `behind` is with all that: from
decoded events until nothing is left to derive or publish. HTTP is spending at the gateway, each with its own key.
"""

import asyncio
import os
import random
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import psutil
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import Assignment
from perennial.common.derive import derive_once
from perennial.common.identity_map import apply
from perennial.common.ids import uuid7
from perennial.local.platform import Platform
from perennial.local.postgres import binary
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.main import SERVICE
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, issue
from perennial.loyalty.programme.queries import mark_everyone
from perennial.loyalty.worker import DERIVATION
from tests.load.orders import LANES, ORDERS, Share, Worker, serve
from tests.load.writer import Second

ACCOUNTS = int(os.environ.get("PERENNIAL_BENCH_ACCOUNTS", "20000"))
CLIENTS, SECONDS, ROUNDS, SCALE = 8, 3, 5, 10
FILL = 1_000
BATCHES, FEW = 20, 5  # of each lane
SETTLE_SECONDS = 300
AIMS = {"spread": 0.75, "hot": 0.4, "batches": 4.0, "two": 4.0, "http": 0.15}
_WAITING = text("SELECT EXISTS (SELECT FROM stale) OR EXISTS (SELECT FROM outbox WHERE published_at IS NULL)")
_FILLED = ("account", "lot", "posting", "identity_map")
_BUSY = "SELECT EXISTS (SELECT FROM stale) OR EXISTS (SELECT FROM outbox WHERE published_at IS NULL)"
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_SPEND = "SELECT outcome FROM spend_points($1, $2, 'points', 1, now(), 'bench', NULL)"


class Wire(asyncio.Protocol):
    """One answer at a time, by its length: the client shares the cores with what it measures."""

    def __init__(self) -> None:
        self._held = b""
        self._waiting: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        self._held += data
        head = self._held.find(b"\r\n\r\n")
        found = _LENGTH.search(self._held, 0, head) if head > 0 else None
        size = head + 4 + int(found[1]) if found else 0
        if self._waiting is not None and size and len(self._held) >= size:
            self._waiting.set_result(self._held[:size])
            self._held, self._waiting = self._held[size:], None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.set_exception(exc or ConnectionError("the gateway closed the connection"))

    async def answer(self) -> bytes:
        """The next answer, whole."""
        self._waiting = asyncio.get_running_loop().create_future()
        return await self._waiting


class Bench:
    """A full ledger, and the ways of posting to it."""

    def __init__(self, platform: Platform, worker: Worker) -> None:
        self.platform, self.worker, self.vias = platform, worker, worker.vias
        self.database = worker.database
        self.postgres = psutil.Process(platform.processes()["postgres"]["pid"])

    @classmethod
    async def open(cls, platform: Platform) -> "Bench":
        """By loyalty's own settings and login."""
        env = platform.environment_of("loyalty")
        os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})
        return cls(platform, Worker([uuid7() for _ in range(ACCOUNTS)]))

    async def fill(self) -> None:
        """Give everybody a million points."""
        now = utc_now()
        for chunk in (self.vias[at : at + FILL] for at in range(0, ACCOUNTS, FILL)):
            lots = [Lot(uuid7(), via, 10**6, now, now, qualifies=False) for via in chunk]
            async with self.database.write() as session:
                await apply(session, [Assignment(via=via, customer=via, version=1) for via in chunk])
                await points.book(session, [issue(lot, "adjust", "bench", None) for lot in lots], lots)
        admin = await asyncpg.connect(self.platform.database_url)  # to whom the tables belong: others are passed over
        await admin.execute(f"ANALYZE {', '.join(f'{SERVICE.name}.{table}' for table in _FILLED)}")
        await admin.close()

    async def each(self, choose: Callable[[], UUID]) -> float:
        """Postings a second, one call each, by all clients."""
        dsn = self.database.dsn

        async def client(until: float) -> int:
            connection = await asyncpg.connect(dsn)
            call, done = await connection.prepare(_SPEND), 0
            while time.perf_counter() < until:
                await call.fetchval(uuid7(), choose())
                done += 1
            await connection.close()
            return done

        return await _rate(client)

    async def batches(self, costs: list[tuple[float, float]], second: Second | None = None) -> float:
        """Postings a second, of orders in batches, by themselves.

        `costs` gets the µs of CPU per order, the workers' and Postgres'.
        """
        await asyncio.to_thread(self.platform.stop_process, "loyalty")
        lanes = LANES * 2 if second else LANES
        self.worker.prepare(Share(BATCHES, range(LANES), lanes))
        if second:
            second.prepare(Share(BATCHES, range(LANES, lanes), lanes))
        count, ours, theirs = lanes * BATCHES * ORDERS, time.process_time(), self._spent()
        started = time.perf_counter()
        beside = asyncio.ensure_future(second.write()) if second else None
        await self.worker.work()
        elsewhere = await beside if beside else 0.0
        rate = count / (time.perf_counter() - started)
        ours, theirs = time.process_time() - ours + elsewhere, self._spent() - theirs
        costs.append((ours / count * 1e6, theirs / count * 1e6))
        await asyncio.to_thread(self.platform.start_process, "loyalty")
        return rate

    def _spent(self) -> float:
        return sum(sum(part.cpu_times()[:2]) for part in [self.postgres, *self.postgres.children(recursive=True)])

    async def behind(self) -> float:
        """Orders a second, until what follows from them is derived and published."""
        self.worker.prepare(Share(FEW, range(LANES), LANES))
        started = time.perf_counter()
        await self.worker.work()
        await self.settled()
        return LANES * FEW * ORDERS / (time.perf_counter() - started)

    async def http(self) -> float:
        """Postings a second at the gateway."""
        parts = urlsplit(self.platform.gateway_url)
        loop = asyncio.get_running_loop()

        async def client(until: float) -> int:
            transport, wire = await loop.create_connection(Wire, parts.hostname or "", parts.port or 0)
            done = 0
            while time.perf_counter() < until:
                transport.write(self._request(random.choice(self.vias)))
                said = await wire.answer()
                if said.startswith(b"HTTP/1.1 429"):
                    await asyncio.sleep(0.1)
                    continue
                if not said.startswith(b"HTTP/1.1 201"):
                    raise RuntimeError(repr(said))
                done += 1
            transport.close()
            return done

        return await _rate(client)

    def _request(self, via: UUID) -> bytes:
        body = b'{"points":1,"reason":"bench"}'
        return (
            f"POST /v1/loyalty/accounts/{via}/spend HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.platform.api_key}\r\nIdempotency-Key: {uuid7()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    async def settled(self) -> None:
        """Wait until the service has derived what the orders changed, and published what it says of them."""
        async with asyncio.timeout(SETTLE_SECONDS), self.database.read() as session:
            while (await session.execute(_WAITING)).scalar_one():
                await asyncio.sleep(0.1)

    async def prove(self) -> None:
        """Settle everybody, and prove that the books balance."""
        async with self.database.write() as session:
            await session.execute(text("DELETE FROM stale"))
            await mark_everyone(session)
        used = 1
        while used:
            async with self.database.write() as session:
                used = await derive_once(session, DERIVATION)
        await verify(self.database)


async def _rate(client: Callable[[float], Awaitable[int]], clients: int = CLIENTS) -> float:
    started = time.perf_counter()
    done = await asyncio.gather(*[client(started + SECONDS) for _ in range(clients)])
    return sum(done) / (time.perf_counter() - started)


async def tpcb(platform: Platform) -> float:
    """pgbench's transactions a second."""
    return float((await _pgbench(platform, "-n", f"-c{CLIENTS}", "-j2", f"-T{SECONDS}", "-Mprepared"))["tps"])


async def _pgbench(platform: Platform, *arguments: str) -> dict[str, str]:
    parts = urlsplit(platform.database_url)
    process = await asyncio.create_subprocess_exec(
        str(binary("pgbench")), *arguments, f"-h{parts.hostname}", f"-p{parts.port}", f"-U{parts.username}", "tpcb",
        env={**os.environ, "PGPASSWORD": parts.password or ""},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(errors.decode())
    found = re.search(r"tps = ([0-9.]+)", out.decode())
    return {"tps": found[1]} if found else {}


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    bench = await Bench.open(platform)
    admin = await asyncpg.connect(platform.database_url)
    await admin.execute("CREATE DATABASE tpcb")
    await admin.close()
    await _pgbench(platform, "-i", "-q", f"-s{SCALE}")
    await bench.fill()
    hot = bench.vias[0]
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[tuple[float, float]]] = {"batches": [], "two": []}
    with Second.beside(bench.vias, serve) as second:
        for _ in range(ROUNDS):
            rates.setdefault("limit", []).append(await tpcb(platform))
            rates.setdefault("spread", []).append(await bench.each(lambda: random.choice(bench.vias)))
            rates.setdefault("hot", []).append(await bench.each(lambda: hot))
            rates.setdefault("batches", []).append(await bench.batches(costs["batches"]))
            await bench.settled()
            rates.setdefault("two", []).append(await bench.batches(costs["two"], second))
            await bench.settled()
            rates.setdefault("behind", []).append(await bench.behind())
            rates.setdefault("http", []).append(await bench.http())
            await bench.settled()
    report(rates, costs)
    await bench.prove()
    print("  the books balance")
    await bench.database.close()


def report(rates: dict[str, list[float]], costs: dict[str, list[tuple[float, float]]]) -> None:
    """One block of figures."""
    print(f"loyalty: {ROUNDS} rounds of {SECONDS} s each, {CLIENTS} clients, {ACCOUNTS:,} accounts")
    limit = statistics.median(rates["limit"])
    print(f"  limit: pgbench tpcb-like     {limit:>9,.0f} transactions/s")
    named = {
        "spread": "one posting a call", "hot": "the same on one account", "batches": f"orders, {ORDERS} a batch",
        "two": "the same, by two workers",
        "behind": "by one, all behind it done", "http": "spending at the gateway",
    }  # fmt: skip
    for name, shown in named.items():
        ratio = statistics.median(made / bare for made, bare in zip(rates[name], rates["limit"], strict=True))
        rate = statistics.median(rates[name])
        aim = f", aim {AIMS[name]}" if name in AIMS else ""
        print(f"  {shown:<28} {rate:>9,.0f} postings/s   {ratio:.2f} x tpcb{aim}{_cost(costs.get(name))}")


def _cost(taken: list[tuple[float, float]] | None) -> str:
    if not taken:
        return ""
    ours, postgres = (statistics.median(column) for column in zip(*taken, strict=True))
    return f"; CPU per order: Python {ours:.1f} µs, Postgres {postgres:.1f} µs"
