"""`python tests/load segments`: a hundred live segments over a `crowd`, as ratios to limits of the same run.

Events: what a worker of segments does with the stored messages of EVENTS (facts kept, then every customer touched
computed for all segments), beside what a worker of profile does with the same. Backfill: a typical rule, from its step
to the moment it serves, beside the best SQL we know for the same answer that fills the same two tables. Preview: one
rule after the other, as `POST /v1/segments/preview` asks.
"""

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import asyncpg
import msgspec
import psutil
from sqlalchemy import text

from perennial.common import derive, rules
from perennial.common.auth import Principal
from perennial.common.operations import worker as operating
from perennial.common.settings import CommonSettings
from perennial.local.platform import Platform
from perennial.segments.definitions import previews, service
from perennial.segments.main import SERVICE
from tests.load import crowd
from tests.load.writer import BATCH, Share, Writer

ROUNDS, BATCHES, ACTIVE, REPEATS, PREVIEWS = 5, 2, 5_000, 5, 100
AIM, AIM_BUILD, AIM_SECONDS = 0.5, 1.3, 3
WHO = Principal("staff", "bench", frozenset())
TYPICAL: dict[str, Any] = {"all": [
    {"trait": "rfm.group", "in": ["champions", "loyal"]},
    {"event": crowd.ORDERED, "within": "P30D", "count": {"gte": 1}},
    {"trait": "plan", "is": "pro"},
]}  # fmt: skip
LATEST = 'm.customer_id, t.at DESC, t.source COLLATE "C" DESC, t.message_id COLLATE "C" DESC'
BY_HAND = f"""
    WITH ordered AS MATERIALIZED (
        SELECT DISTINCT m.customer_id FROM segments.event AS e JOIN segments.identity_map AS m ON m.via = e.via
        WHERE e.name = '{crowd.ORDERED}' AND e.at > $1 AND e.at <= $2),
    standing AS MATERIALIZED (
        SELECT DISTINCT ON (m.customer_id) m.customer_id, t.value
        FROM ordered JOIN segments.identity_map AS m USING (customer_id)
        JOIN segments.trait AS t ON t.via = m.via AND t.key = 'rfm' ORDER BY {LATEST}),
    plan AS (
        SELECT DISTINCT ON (m.customer_id) m.customer_id, t.value
        FROM standing AS s JOIN segments.identity_map AS m USING (customer_id)
        JOIN segments.trait AS t ON t.via = m.via AND t.key = 'plan'
        WHERE s.value -> 'group' IN ('"champions"', '"loyal"') ORDER BY {LATEST})
    SELECT customer_id FROM plan WHERE value = '"pro"'"""
TAKEN = f"""
    WITH held AS ({BY_HAND}),
    entered AS (INSERT INTO public.bench_member (segment_id, customer_id, since, version)
                SELECT gen_random_uuid(), customer_id, now(), 1 FROM held RETURNING segment_id, customer_id)
    INSERT INTO public.bench_change (segment_id, customer_id, entered, at)
    SELECT segment_id, customer_id, true, now() FROM entered"""
TABLES = """
    CREATE TABLE public.bench_member (LIKE segments.membership INCLUDING ALL);
    CREATE TABLE public.bench_change (LIKE segments.membership_change INCLUDING ALL)"""


class Slice(NamedTuple):
    """Seconds; seconds of CPU of this process, and of Postgres."""

    wall: float
    ours: float
    postgres: float


class Bench:
    """What is measured, and by which clocks."""

    def __init__(self, admin: asyncpg.Connection, postgres: psutil.Process) -> None:
        self.admin, self.postgres = admin, postgres

    async def timed(self, run: Callable[[], Awaitable[object]]) -> Slice:
        """One slice."""
        ours, theirs, started = time.process_time(), self._spent(), time.perf_counter()
        await run()
        wall = time.perf_counter() - started
        return Slice(wall, time.process_time() - ours, self._spent() - theirs)

    def _spent(self) -> float:
        ended = sum(self.postgres.cpu_times()[:4])  # with its own: of the workers of a query that is over
        return ended + sum(sum(part.cpu_times()[:2]) for part in self.postgres.children(recursive=True))


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    for name in ("profile", "segments"):
        platform.stop_process(name)
    plain = {"jit": "off", "search_path": "public"}
    admin = await asyncpg.connect(platform.database_url, command_timeout=3600, server_settings=plain)
    bench = Bench(admin, psutil.Process(platform.processes()["postgres"]["pid"]))
    documents = [msgspec.json.encode(rule).decode() for rule in islice(crowd.rules(), crowd.SEGMENTS)]
    filled = await bench.timed(lambda: crowd.fill(admin, documents, ACTIVE))
    await admin.execute(TABLES)
    print(f"segments: {crowd.CUSTOMERS:,} customers, {crowd.EVENTS:,} events, {crowd.SEGMENTS} segments")
    size = ", ".join(f"{name} {mb:.0f}" for name, mb in (await crowd.sizes(admin)).items())
    print(f"  made in {filled.wall:.0f} s; MB per million rows with their indexes: {size}", flush=True)
    active = await crowd.people(admin, ACTIVE)
    _environment(platform, "profile")
    profile = Writer(active)
    _environment(platform, "segments")
    segments = Writer(active, SERVICE, CommonSettings())  # type: ignore[call-arg]
    await events(bench, profile, segments)
    await builds(bench, segments)
    await tries(segments)
    for writer in (profile, segments):
        await writer.runtime.database.close()
    await admin.close()


def _environment(platform: Platform, service: str) -> None:
    env = platform.environment_of(service)
    os.environ.update({name: value for name, value in env.items() if name.startswith("PERENNIAL_")})


async def events(bench: Bench, profile: Writer, segments: Writer) -> None:
    """Slices of profile's writing and of ours, in turns; then of ours what is keeping and what is computing."""
    await derived(segments, list(segments.vias))
    rounds = []
    for number in range(-1, ROUNDS):  # the first warms up
        marks = [f"{number}-{n}" for n in range(BATCHES)]
        rounds.append((
            await bench.timed(lambda marks=marks: profile.drain(profile.queues(Share(marks, range(1), 1)))),  # type: ignore[misc]
            await bench.timed(lambda marks=marks: segments.drain(segments.queues(Share(marks, range(1), 1)))),  # type: ignore[misc]
            await bench.timed(lambda: derived(segments)),
        ))  # fmt: skip
    limit, kept, computed = zip(*rounds[1:], strict=True)
    both = [Slice(*map(sum, zip(*pair, strict=True))) for pair in zip(kept, computed, strict=True)]
    ratio = statistics.median(bare.wall / made.wall for bare, made in zip(limit, both, strict=True))
    print(f"  {ROUNDS} rounds of {BATCHES} batches of {BATCH} events of {ACTIVE:,} customers, aim {AIM} x profile")
    print(f"    {'limit: profile writes them':<34}{_rate(limit)}")
    print(f"    {'segments keeps them':<34}{_rate(kept)}")
    print(f"    {'segments computes the customers':<34}{_rate(computed)}")
    print(f"    {'both, one after the other':<34}{_rate(both)}   {ratio:.2f} x profile", flush=True)


def _rate(slices: Sequence[Slice]) -> str:
    count = BATCHES * BATCH
    wall, ours, postgres = (statistics.median(column) for column in zip(*slices, strict=True))
    cpu = f"Python {ours / count * 1e6:.0f} µs, Postgres {postgres / count * 1e6:.0f} µs"
    return f"{count / wall:>8,.0f} events/s   CPU per event: {cpu}"


async def derived(segments: Writer, customers: Sequence[Any] = ()) -> None:
    """Whoever is due, computed."""
    database = segments.runtime.database
    async with database.write() as session:
        await derive.mark(session, customers, live=True)
    assert SERVICE.derive is not None
    behind = replace(SERVICE.derive, live=SERVICE.derive.batch)  # as many at a time as `derive.loop` comes to take then
    used = 1
    while used:
        async with database.write() as session:
            used = await derive.derive_once(session, behind)


async def builds(bench: Bench, segments: Writer) -> None:
    """Slices of the limit and of a build, in turns; the query alone, and all that it takes until the segment serves."""
    admin, query, rounds = bench.admin, rules.parse(TYPICAL), []
    for number in range(-1, REPEATS):
        now = datetime.now(UTC)
        window, sql = (now - timedelta(days=30), now), rules.to_sql(query, now)
        await admin.execute("TRUNCATE public.bench_member, public.bench_change, segments.stale")
        async with segments.runtime.database.read() as session:
            run = session.execute
            rounds.append((
                await bench.timed(lambda window=window: admin.fetch(BY_HAND, *window)),  # type: ignore[misc]
                await bench.timed(lambda run=run, sql=sql: run(text(sql.text), sql.params)),  # type: ignore[misc]
                await bench.timed(lambda window=window: admin.execute(TAKEN, *window)),  # type: ignore[misc]
                await bench.timed(lambda number=number: _build(segments, f"build {number}")),  # type: ignore[misc]
                await bench.timed(lambda: _rest(segments)),
            ))  # fmt: skip
    asked, answered, taken, built, told = zip(*rounds[1:], strict=True)
    count = await admin.fetchval("SELECT count(*) FROM public.bench_member")
    print(f"  backfill of a typical rule, {count:,} members, {REPEATS} rounds, aim {AIM_BUILD} x by hand")
    for name, limit, made in (("query alone", asked, answered), ("until it serves", taken, built)):
        ratio = statistics.median(ours.wall / bare.wall for bare, ours in zip(limit, made, strict=True))
        spent = statistics.median(
            (ours.postgres or 1e-9) / (bare.postgres or 1e-9) for bare, ours in zip(limit, made, strict=True)
        )
        print(f"    {name:<18} by hand {_seconds(limit)}, ours {_seconds(made)}   {ratio:.2f} x ({spent:.2f} x of CPU)")
    print(f"    and then to mark whom it concerns, and to say who entered: {_seconds(told)}")
    marked = await admin.fetchval("SELECT count(*) FROM segments.stale")
    some = await bench.timed(lambda: _due(segments))
    print(
        f"    it marks {marked:,} of {crowd.CUSTOMERS:,} customers; all of them computed: {_seconds([some])}",
        flush=True,
    )


def _seconds(slices: Sequence[Slice]) -> str:
    wall, ours, postgres = (statistics.median(column) for column in zip(*slices, strict=True))
    return f"{wall:.2f} s (CPU {ours:.2f} + {postgres:.2f})"


async def _build(segments: Writer, name: str) -> None:
    """Define it, and do the steps until it serves; who enters is told afterwards."""
    async with segments.runtime.database.write() as session:
        found = await service.define(session, WHO, name, TYPICAL)
    state = "building"
    while state == "building":
        await operating.step_once(segments.runtime)
        async with segments.runtime.database.read() as session:
            state = (await service.find(session, found)).state
    if state != "live":
        raise RuntimeError(state)


async def _rest(segments: Writer) -> None:
    """What a build does once it serves."""
    while await operating.step_once(segments.runtime):
        pass


async def _due(segments: Writer) -> None:
    async with segments.runtime.database.write() as session:
        await session.execute(text("UPDATE stale SET at = now()"))
    await derived(segments)


async def tries(segments: Writer) -> None:
    """Rules as people write them, tried one after the other."""
    waits: list[tuple[float, str]] = []
    found: list[previews.Tried] = []
    for document in islice(crowd.rules(), PREVIEWS):
        rule, started = rules.parse(document), time.perf_counter()
        async with segments.runtime.database.read() as session:
            found.append(await previews.preview(session, rule, datetime.now(UTC)))
        waits.append((time.perf_counter() - started, rules.describe(rule)))
    seconds = [wait for wait, _ in waits]
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    estimated = sum(tried.counted.times > 1 for tried in found)
    counted = [leaf.counted for tried in found for leaf in tried.leaves]
    guessed, missing = sum(each is not None and each.times > 1 for each in counted), counted.count(None)
    print(f"  preview, {PREVIEWS} rules: p50 {p50:.2f} s, p99 {p99:.2f} s, aim {AIM_SECONDS} s")
    print(f"    {estimated} estimated; of {len(counted)} leaves {guessed} estimated and {missing} not counted")
    print(f"    the slowest: {max(waits)[1]}", flush=True)
