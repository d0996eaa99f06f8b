"""`python tests/load profile`: how fast profile writes, as a ratio to COPY, and how fast the 360 of a busy customer is.

Writing is one process, from the stored messages of EVENTS to the commit: map, inbox, timeline, counters, traits,
orders, the customer's row and the marks. Its limit is asyncpg's COPY of the same rows of the timeline, in the same
batches and order, into one table with the same two indexes. Reading is the whole of `GET /v1/customers/{id}` (SQL,
masks, JSON), one at a time, for one customer of ten thousand events under 24 identifiers, among many others.
"""

import asyncio
import gc
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from uuid import UUID

import asyncpg
import httpx
import msgspec
import psutil
from nats.aio.msg import Msg

from perennial.common.contracts.identity import EventsResolved, ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.decode import resolved
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.local.platform import Platform
from perennial.profile.main import SERVICE
from perennial.profile.settings import ProfileSettings
from perennial.profile.timeline import queries

ROUNDS, BATCHES, BATCH, MESSAGE, CUSTOMERS, LANES = 7, 4, 4_000, 50, 5_000, 2
AIM, AIM_MS = 0.25, 50
BUSY_EVENTS, BUSY_IDENTIFIERS, READS, SETTLE_SECONDS = 10_000, 24, 300, 120
NAMES = ("Product Viewed", "Product List Viewed", "Product Added", "Checkout Started")
FILLER = "https://shop.example/products/" + "x" * 250

LIMIT = """
    DROP TABLE IF EXISTS public.bench_event;
    CREATE TABLE public.bench_event (LIKE profile.event INCLUDING DEFAULTS);
    CREATE INDEX ON public.bench_event (via, timestamp DESC);
    CREATE INDEX ON public.bench_event (message_id)"""


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    platform.stop_process("profile")
    bench = await Bench.open(platform)
    gc.freeze()  # as every process of a service does
    gc.set_threshold(50_000, 20, 50)
    await bench.writes([bench.events(f"warm{number}", BATCH) for number in range(2)], LANES)
    await writing(bench)
    busy = await bench.busy()
    platform.start_process("profile")
    await bench.settled(busy)
    await bench.close()
    await reading(platform, busy)


async def writing(bench: "Bench") -> None:
    """Slices of the limit and of the service, in turns: one batch at a time, and as many as a worker has at once."""
    rounds = []
    for number in range(ROUNDS):
        first, second = ([bench.events(f"{number}-{turn}-{n}", BATCH) for n in range(BATCHES)] for turn in range(2))
        rounds.append((await bench.copy(first), await bench.writes(first, 1), await bench.writes(second, LANES)))
    limit, one, more = ([made[turn] for made in rounds] for turn in range(3))
    print(f"profile: {ROUNDS} rounds of {BATCHES} batches of {BATCH} events, {CUSTOMERS:,} customers")
    print(f"  limit: COPY of the rows   {_shown(limit)}")
    print(f"  one batch at a time       {_shown(one)}   {_ratio(one, limit):.2f} x COPY")
    print(f"  {LANES} at once, as a worker   {_shown(more)}   {_ratio(more, limit):.2f} x COPY, aim {AIM}")


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
    """Events per second; µs of CPU per event of this process, and of Postgres."""

    rate: float
    ours: float
    postgres: float


class Bench:
    """Profile's database, the reactions that a worker would run, and the limit beside them."""

    def __init__(self, runtime: Runtime, admin: asyncpg.Connection, postgres: psutil.Process) -> None:
        self.admin, self.postgres, self.runtime = admin, postgres, runtime
        hot = [reaction for reaction in SERVICE.reactions if reaction.hot]
        self.process = BatchProcessor(runtime, hot, resolved)
        self.vias = [uuid7() for _ in range(CUSTOMERS)]

    @classmethod
    async def open(cls, platform: Platform) -> "Bench":
        """By profile's own settings and login."""
        postgres = psutil.Process(platform.processes()["postgres"]["pid"])
        env = platform.environment_of("profile")
        os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})
        settings = ProfileSettings()  # type: ignore[call-arg]
        runtime = Runtime(SERVICE, settings, Database.connect(settings, "bench"), nats=cast("Any", None))
        admin = await asyncpg.connect(platform.database_url)
        await admin.execute(LIMIT)
        return cls(runtime, admin, postgres)

    async def close(self) -> None:
        """Disconnect."""
        await self.admin.execute("DROP TABLE public.bench_event")
        await self.admin.execute("VACUUM ANALYZE")
        await self.runtime.database.close()
        await self.admin.close()

    def events(self, mark: str, count: int) -> list[ResolvedEvent]:
        """Seven views, two orders, one identify in ten, of about 550 bytes, as they happen now."""
        chance, now = random.Random(mark), datetime.now(UTC)
        return [_event(mark, n, chance.choice(self.vias), now - timedelta(seconds=n), chance) for n in range(count)]

    async def copy(self, slices: Sequence[Sequence[ResolvedEvent]]) -> Slice:
        """What it would cost if the timeline's rows were all there is to write."""
        batches = [[_row(event) for event in sorted(events, key=lambda event: event.via.int)] for events in slices]

        async def copied() -> None:
            for rows in batches:
                await self.admin.copy_records_to_table(
                    "bench_event", records=rows, columns=queries.COLUMNS, schema_name="public"
                )

        return await self._timed(copied, sum(map(len, batches)))

    async def writes(self, slices: Sequence[Sequence[ResolvedEvent]], lanes: int) -> Slice:
        """What it does cost, in as many lanes, each of partitions of its own."""
        queues = [_batches([event for events in slices for event in events], lane, lanes) for lane in range(lanes)]

        async def drain(queue: list[list[Msg]]) -> None:
            for batch in queue:
                await self.process(batch)

        async def drained() -> None:
            await asyncio.gather(*map(drain, queues))

        return await self._timed(drained, sum(map(len, slices)))

    async def _timed(self, run: Callable[[], Awaitable[None]], count: int) -> Slice:
        ours, theirs, started = time.process_time(), self._spent(), time.perf_counter()
        await run()
        seconds = time.perf_counter() - started
        ours, theirs = time.process_time() - ours, self._spent() - theirs
        return Slice(count / seconds, ours / count * 1e6, theirs / count * 1e6)

    async def busy(self) -> UUID:
        """A customer of ten thousand events in two years, under many identifiers."""
        chance, now = random.Random(1), datetime.now(UTC)
        vias = [uuid7() for _ in range(BUSY_IDENTIFIERS)]
        for start in range(0, BUSY_EVENTS, BATCH):
            events = [
                msgspec.structs.replace(
                    _event(
                        f"busy{start}", n, chance.choice(vias), now - timedelta(hours=chance.randrange(16_000)), chance
                    ),
                    customer=vias[0],
                )
                for n in range(min(BATCH, BUSY_EVENTS - start))
            ]
            for batch in _batches(events, 0, 1):
                await self.process(batch)
        return vias[0]

    async def settled(self, busy: UUID) -> None:
        """Wait until who is looked at is derived, so that only what is read is measured."""
        await self.admin.execute("DELETE FROM profile.stale WHERE customer_id <> $1", busy)
        async with asyncio.timeout(SETTLE_SECONDS):
            while await self.admin.fetchval("SELECT EXISTS (SELECT FROM profile.stale)"):
                await asyncio.sleep(0.5)

    def _spent(self) -> float:
        return sum(sum(part.cpu_times()[:2]) for part in [self.postgres, *self.postgres.children(recursive=True)])


def _event(mark: str, n: int, via: UUID, at: datetime, chance: random.Random) -> ResolvedEvent:
    where: dict[str, Any] = {"via": via, "at": at, "message_id": f"{mark}-{n}", "source": chance.choice(["web", "app"])}
    if n % 10 == 0:
        traits = {"firstName": "Some", "plan": chance.choice(["free", "pro"]), "city": "Basel", "url": FILLER}
        return identified({**traits, "age": chance.randrange(18, 90)}, **where)
    product = {"product_id": str(chance.randrange(1000)), "name": "A product", "price": "12.50", "url": FILLER}
    if n % 10 in {1, 2}:
        order = {"order_id": f"{mark}-{n}", "revenue": "12.50", "currency": "USD", "products": [product]}
        return tracked("Order Completed", order, **where)
    return tracked(chance.choice(NAMES), product, **where)


def _row(event: ResolvedEvent) -> tuple[Any, ...]:
    return (
        event.id, event.via, event.source, event.message_id, event.type, event.name, event.timestamp, event.received_at,
        event.live, str(event.body, "utf-8"), event.sent_at, "behaviour",
    )  # fmt: skip


def _batches(events: Sequence[ResolvedEvent], lane: int, lanes: int) -> list[list[Msg]]:
    mine = [event for event in events if event.via.int % lanes == lane]
    return [_messages(mine[start : start + BATCH], lane) for start in range(0, len(mine), BATCH)]


def _messages(events: Sequence[ResolvedEvent], lane: int) -> list[Msg]:
    metadata, subject = SimpleNamespace(num_delivered=1, stream="EVENTS"), f"identity.events.resolved.v1.{lane}"
    return [
        cast(
            "Msg",
            SimpleNamespace(
                data=msgspec.json.encode(EventsResolved(list(events[start : start + MESSAGE]))),
                headers={},
                subject=subject,
                metadata=metadata,
            ),
        )
        for start in range(0, len(events), MESSAGE)
    ]
