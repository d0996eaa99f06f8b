"""`python tests/load identity`: how fast identity decides, as a ratio to a bare upsert of the same keys of one run.

PERENNIAL_BENCH_IDENTIFIERS is how many identifiers are there before (2,000,000, of which the aim speaks; they take half
a minute to load). Deciding is one process, from the stored message to the commit; its limit is one INSERT … ON
CONFLICT DO UPDATE … RETURNING by unnest, 1,000 keys a batch, into a table with one unique index and as many rows. Then
whole processes, from INGEST to EVENTS: one worker, and two. Then merges, and how long they hold up others.
"""

import asyncio
import contextlib
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import nats
from nats.js.client import JetStreamContext

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import STREAM, SUBJECT
from perennial.identity.merges import service as merges
from perennial.identity.worker import AT_ONCE
from perennial.local.net import free_port
from perennial.local.platform import Platform
from tests.load.people import IDENTIFIERS, NEW, Bench

ROUNDS, EVENTS = 7, 10_000
AIM = 0.35
STAFF = Principal("staff", "bench", frozenset({"*"}))


async def measure(platform: Platform) -> None:
    """All of it; printed."""
    platform.stop_process("identity")
    bench = await Bench.open(platform)
    started = time.perf_counter()
    await bench.fill(IDENTIFIERS)
    print(f"identity: {IDENTIFIERS:,} identifiers there before, loaded in {time.perf_counter() - started:.0f} s")
    gc.freeze()  # as every process of a service does
    gc.set_threshold(50_000, 20, 50)
    await bench.decide(bench.events(2_000), 1)
    await deciding(bench)
    await draining(bench, platform)
    await merging(bench)
    await bench.close()


async def deciding(bench: Bench) -> None:
    """One transaction at a time, and as many as a worker has under way; beside the limit, in turns."""
    rounds = []
    for _ in range(ROUNDS):
        events, others = bench.events(EVENTS), bench.events(EVENTS)
        rounds.append((await bench.upsert(events), await bench.decide(events, 1), await bench.decide(others, AT_ONCE)))
    limit, one, more = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(decided / bare for bare, decided, _ in rounds)
    ratios = statistics.median(decided / bare for bare, _, decided in rounds)
    print(f"  limit: a bare upsert of the keys {limit:>9,.0f} events/s   {ROUNDS} rounds of {EVENTS}, {NEW:.0%} new")
    print(f"  decided, one pull at a time      {one:>9,.0f} events/s   {ratio:.2f} x upsert")
    print(f"  decided, {AT_ONCE} pulls as in a worker  {more:>9,.0f} events/s   {ratios:.2f} x upsert, aim {AIM}")


async def draining(bench: Bench, platform: Platform) -> None:
    """From INGEST to EVENTS, by one process and by two."""
    platform.start_process("identity")
    client = await nats.connect(platform.nats_url)
    js = client.jetstream(timeout=10)
    rates: dict[int, list[float]] = {1: [], 2: []}
    await _drain(js, bench)
    for _ in range(5):
        rates[1].append(await _drain(js, bench))
        with second(platform):
            rates[2].append(await _drain(js, bench))
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    print(f"  resolved, from INGEST to EVENTS  {one:>9,.0f} events/s   by one worker")
    gain = f"{two / one:.2f} x on {os.cpu_count()} cores"
    print(f"  resolved, from INGEST to EVENTS  {two:>9,.0f} events/s   by two: {gain}")
    await client.close()
    platform.stop_process("identity")


async def _drain(js: JetStreamContext, bench: Bench) -> float:
    """Events per second from the first message stored to the last one acknowledged."""
    bodies = bench.stored(bench.events(EVENTS), 50)
    started = time.perf_counter()
    await asyncio.gather(*(js.publish(SUBJECT, body) for body in bodies))
    while (await js.stream_info(STREAM)).state.messages:
        await asyncio.sleep(0.01)
    return EVENTS / (time.perf_counter() - started)


@contextlib.contextmanager
def second(platform: Platform) -> Iterator[None]:
    """Another worker, as long as this lasts."""
    port = free_port()
    argv = [sys.executable, "-m", "perennial.common.run", "identity", "--worker", "--port", str(port)]
    with subprocess.Popen(argv, env=platform.environment_of("identity"), stdout=subprocess.DEVNULL) as process:
        try:
            while not _ready(port):
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    return False


async def merging(bench: Bench) -> None:
    """Two customers with ten thousand events each beside two that are new; and how long an event of theirs waits."""
    times: dict[str, list[float]] = {"new": [], "old": []}
    waits: list[float] = []
    for number in range(5):
        for name, events in (("new", 1), ("old", 10_000)):
            pair = [await bench.somebody(f"{name}{number}-{side}", events) for side in range(2)]
            other = asyncio.create_task(bench.waiting(f"{name}{number}-0", waits))
            await asyncio.sleep(0.05)
            started = time.perf_counter()
            async with bench.database.write() as session:
                await merges.merge(session, pair, "the same", STAFF)
            times[name].append(time.perf_counter() - started)
            await asyncio.sleep(0.05)
            other.cancel()
            await asyncio.gather(other, return_exceptions=True)
    new, old = (statistics.median(times[name]) * 1e3 for name in ("new", "old"))
    print(f"  merging two new customers        {new:>9.1f} ms")
    print(f"  merging two of 10,000 events     {old:>9.1f} ms        {old / new:.2f} x")
    longest, usual = max(waits) * 1e3, statistics.median(waits) * 1e3
    print(f"  decisions about them meanwhile   {longest:>9.1f} ms        at most; median {usual:.1f} ms, aim 100 ms")
