"""`python tests/load profile`: how fast profile writes, as a ratio to COPY, and how fast the 360 of a busy customer is.

Writing is one process or two, from the stored messages of EVENTS to the commit: map, inbox, timeline, counters, traits,
orders, the customer's row and the marks. Its limit is asyncpg's COPY of the same rows of the timeline, in the same
batches and order, into one table with the same two indexes. Reading is the whole of `GET /v1/customers/{id}` (SQL,
masks, JSON), one at a time, for one customer of ten thousand events under 24 identifiers, among many others.

A slice is a third of a second of COPY and more: in less, COPY has the log's buffers to itself and waits for no disk.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import msgspec
import psutil

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.local.platform import Platform
from perennial.profile.timeline import queries
from tests.load.writer import BATCH, Second, Share, Writer, batches, event

ROUNDS, BATCHES, CUSTOMERS, LANES = 7, 12, 5_000, 2
AIM, AIM_MS = 0.25, 50
BUSY_EVENTS, BUSY_IDENTIFIERS, READS, SETTLE_SECONDS = 10_000, 24, 300, 120

LIMIT = """
    DROP TABLE IF EXISTS public.bench_event;
    CREATE TABLE public.bench_event (LIKE profile.event INCLUDING DEFAULTS);
    CREATE INDEX ON public.bench_event (via, timestamp DESC);
    CREATE INDEX ON public.bench_event (message_id)"""


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    platform.stop_process("profile")
    bench = await Bench.open(platform)
    with Second.beside(bench.writer.vias) as second:
        await writing(bench, second)
    busy = await bench.busy()
    platform.start_process("profile")
    await bench.settled(busy)
    await bench.close()
    await reading(platform, busy)


async def writing(bench: "Bench", second: Second) -> None:
    """Slices of the limit and of the service, in turns: one batch at a time, as many as a worker has, two workers."""
    rounds = []
    for number in range(-1, ROUNDS):  # the first warms up
        one, more, most = ([f"{number}-{turn}-{n}" for n in range(BATCHES)] for turn in range(3))
        second.prepare(Share(most, range(LANES, 2 * LANES), 2 * LANES))
        rounds.append((
            await bench.copy(one),
            await bench.writes(Share(one, range(1), 1)),
            await bench.writes(Share(more, range(LANES), LANES)),
            await bench.writes(Share(most, range(LANES), 2 * LANES), second),
        ))  # fmt: skip
    limit, *ways = zip(*rounds[1:], strict=True)
    print(f"profile: {ROUNDS} rounds of {BATCHES} batches of {BATCH} events, {CUSTOMERS:,} customers, aim {AIM} x COPY")
    print(f"  {'limit: COPY of the rows':<26}{_shown(limit)}")
    for name, way in zip(
        ("one batch at a time", f"{LANES} at once, as a worker", "two such workers"), ways, strict=True
    ):
        print(f"  {name:<26}{_shown(way)}   {_ratio(way, limit):.2f} x COPY")


def _shown(slices: "Sequence[Slice]") -> str:
    rate, ours, postgres = (statistics.median(column) for column in zip(*slices, strict=True))
    return f"{rate:>9,.0f} events/s   CPU per event: Python {ours:.1f} µs, Postgres {postgres:.1f} µs"


def _ratio(slices: "Sequence[Slice]", limit: "Sequence[Slice]") -> float:
    return statistics.median(made.rate / bare.rate for made, bare in zip(slices, limit, strict=True))


async def reading(platform: Platform, busy: UUID) -> None:
    """The 360 through the gateway, one at a time."""
    headers = {"Authorization": f"Bearer {platform.api_key}"}
    async with httpx.AsyncClient(base_url=platform.gateway_url, headers=headers, timeout=10) as client:
        for name, path in (
            ("the 360", f"/v1/customers/{busy}"),
            ("a page of the timeline", f"/v1/customers/{busy}/timeline"),
            ("one name of the timeline", f"/v1/customers/{busy}/timeline?name=Checkout Started&limit=20"),
        ):
            waits = [await _asked(client, path) for _ in range(READS)][READS // 6 :]
            p50, p99 = statistics.median(waits) * 1e3, statistics.quantiles(waits, n=100)[98] * 1e3
            print(f"  {name:<28} p50 {p50:.1f} ms, p99 {p99:.1f} ms, aim {AIM_MS} ms; {BUSY_EVENTS:,} events behind it")


async def _asked(client: httpx.AsyncClient, path: str) -> float:
    started = time.perf_counter()
    answer = await client.get(path)
    if answer.status_code == 429:
        await asyncio.sleep(float(answer.headers["Retry-After"]))
        return await _asked(client, path)
    answer.raise_for_status()
    return time.perf_counter() - started


class Slice(NamedTuple):
    """Events per second; µs of CPU per event of the writing processes, and of Postgres."""

    rate: float
    ours: float
    postgres: float


class Bench:
    """What a worker of profile would write, and the limit beside it."""

    def __init__(self, writer: Writer, admin: asyncpg.Connection, postgres: psutil.Process) -> None:
        self.admin, self.postgres, self.writer = admin, postgres, writer

    @classmethod
    async def open(cls, platform: Platform) -> "Bench":
        """By profile's own settings and login."""
        postgres = psutil.Process(platform.processes()["postgres"]["pid"])
        env = platform.environment_of("profile")
        os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})
        admin = await asyncpg.connect(platform.database_url)
        await admin.execute(LIMIT)
        return cls(Writer([uuid7() for _ in range(CUSTOMERS)]), admin, postgres)

    async def close(self) -> None:
        """Disconnect."""
        await self.admin.execute("DROP TABLE public.bench_event")
        await self.admin.execute("VACUUM ANALYZE")
        await self.writer.runtime.database.close()
        await self.admin.close()

    async def copy(self, marks: Sequence[str]) -> Slice:
        """What it would cost if the timeline's rows were all there is to write."""
        slices = [
            [_row(each) for each in sorted(self.writer.events(mark), key=lambda each: each.via.int)] for mark in marks
        ]

        async def copied() -> float:
            for rows in slices:
                await self.admin.copy_records_to_table(
                    "bench_event", records=rows, columns=queries.COLUMNS, schema_name="public"
                )
            return 0.0

        return await self._timed(copied)

    async def writes(self, share: Share, second: Second | None = None) -> Slice:
        """What it does cost, perhaps with the rest of the lanes in a second process."""
        queues = self.writer.queues(share)

        async def written() -> float:
            beside = asyncio.ensure_future(second.write()) if second else None
            await self.writer.drain(queues)
            return await beside if beside else 0.0

        return await self._timed(written)

    async def _timed(self, run: Callable[[], Awaitable[float]]) -> Slice:
        ours, theirs, started, count = time.process_time(), self._spent(), time.perf_counter(), BATCHES * BATCH
        elsewhere = await run()
        seconds = time.perf_counter() - started
        ours, theirs = time.process_time() - ours + elsewhere, self._spent() - theirs
        return Slice(count / seconds, ours / count * 1e6, theirs / count * 1e6)

    async def busy(self) -> UUID:
        """A customer of ten thousand events in two years, under many identifiers."""
        chance, now = random.Random(1), datetime.now(UTC)
        vias = [uuid7() for _ in range(BUSY_IDENTIFIERS)]
        for start in range(0, BUSY_EVENTS, BATCH):
            times = [now - timedelta(hours=chance.randrange(16_000)) for _ in range(min(BATCH, BUSY_EVENTS - start))]
            events = [event(f"busy{start}", n, chance.choice(vias), at, chance) for n, at in enumerate(times)]
            await self.writer.drain(
                [batches([msgspec.structs.replace(each, customer=vias[0]) for each in events], 0, 1)]
            )
        return vias[0]

    async def settled(self, busy: UUID) -> None:
        """Wait until who is looked at is derived, so that only what is read is measured."""
        await self.admin.execute("DELETE FROM profile.stale WHERE customer_id <> $1", busy)
        async with asyncio.timeout(SETTLE_SECONDS):
            while await self.admin.fetchval("SELECT EXISTS (SELECT FROM profile.stale)"):
                await asyncio.sleep(0.5)

    def _spent(self) -> float:
        return sum(sum(part.cpu_times()[:2]) for part in [self.postgres, *self.postgres.children(recursive=True)])


def _row(event: ResolvedEvent) -> tuple[Any, ...]:
    return (
        event.id, event.via, event.source, event.message_id, event.type, event.name, event.timestamp, event.received_at,
        event.live, str(event.body, "utf-8"), event.sent_at, "behaviour",
    )  # fmt: skip
