"""`make bench`: how fast events are accepted and how fast they are visible, as ratios to limits of the same run.

First the gateway alone (see `edge`; `python tests/load edge` stops after it). Then two platforms, one after the other:
identity and profile alone, then every service. Slices of the thing and of its limit (asyncpg COPY of the same events
into one table with two indexes) take turns; medians are printed.
"""

import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uvloop

from perennial.local.platform import Platform
from tests.load import edge, identity, latency, loyalty, profile, relay, search, segments
from tests.load.events import batches
from tests.load.limit import Copy
from tests.load.measure import Load, Slice

ROUNDS, EVENTS_PER_ROUND, BATCH, SMALL_BATCH = 5, 10_000, 100, 20
LATENCY_SECONDS, LOAD_SHARE = 12, 0.3
UNHEARD_BYTES = 4 * 1024**3  # of facts that nobody there hears, so that nothing of them is trimmed
BENCHES: dict[str, tuple[Callable[[Platform], Coroutine[None, None, None]], tuple[str, ...]]] = {
    "identity": (identity.measure, ("identity",)),
    "search": (search.measure, ("identity", "profile")),
    "profile": (profile.measure, ("identity", "profile")),
    "loyalty": (loyalty.measure, ("loyalty",)),
    "segments": (segments.measure, ("profile", "segments")),
    "relay": (relay.measure, ("segments",)),
    "latency": (latency.measure, ("identity", "profile", "segments")),
}


async def measure(name: str, platform: Platform) -> None:
    """Five rounds of each, then latency at a fraction of what was reached."""
    copy = await Copy.open(platform.database_url)
    load = await Load.open(platform)
    rounds: list[tuple[float, Slice]] = []
    await load.run(batches("warm", 2_000, BATCH, platform.write_key))
    for number in range(ROUNDS):
        made = batches(f"{name}{number}", EVENTS_PER_ROUND, BATCH, platform.write_key)
        rounds.append((await copy.run(made), await load.run(made)))
    report(name, rounds)
    capacity = statistics.median(piece.visible for _, piece in rounds)
    for size in (BATCH, SMALL_BATCH):
        waits = await load.latency(capacity * LOAD_SHARE, LATENCY_SECONDS, size)
        p50, p99 = statistics.median(waits), statistics.quantiles(waits, n=100)[98]
        shown = f"p50 {p50 * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms ({p99 / p50:.1f} x p50)"
        print(f"  visible at {LOAD_SHARE:.0%} load, batches of {size}: {shown}")
    await load.close()
    await copy.close()


def report(name: str, rounds: list[tuple[float, Slice]]) -> None:
    """One block of figures."""
    limit = statistics.median(rate for rate, _ in rounds)
    accepted = statistics.median(piece.accepted for _, piece in rounds)
    visible = statistics.median(piece.visible for _, piece in rounds)
    ratio = statistics.median(piece.visible / rate for rate, piece in rounds)
    print(f"{name}: {len(rounds)} rounds of {EVENTS_PER_ROUND} events")
    print(f"  limit, COPY with two indexes  {limit:>9,.0f} events/s")
    print(f"  accepted by the gateway       {accepted:>9,.0f} events/s   {accepted / limit:.2f} x COPY")
    print(f"  visible in the profile        {visible:>9,.0f} events/s   {ratio:.3f} x COPY")
    handled = statistics.median(piece.handled for _, piece in rounds)
    print(f"  handled by every service      {handled:>9,.0f} events/s   {handled / limit:.3f} x COPY")
    names = sorted({process for _, piece in rounds for process in piece.cpu})
    costs = {p: statistics.median(piece.cpu.get(p, 0.0) for _, piece in rounds) for p in names}
    total = sum(costs.values())
    for process, cost in sorted(costs.items(), key=lambda item: -item[1]):
        print(f"    {process:<14} {cost:7.1f} µs of CPU per event  {cost / total:4.0%}")


def main() -> None:
    """The gateway alone, then both platforms; or only what the command line names."""
    wanted = sys.argv[1:] or ["edge", "identity", "profile", "search", "loyalty", "segments", "relay", "platforms"]
    if "edge" in wanted:
        env = {"PERENNIAL_STREAM_BYTES_INGEST": str(edge.INGEST_BYTES)}
        with _home() as home, Platform(Path(home), port=0, services=("identity",), env=env) as platform:
            platform.stop_process("identity")
            uvloop.run(edge.measure(platform))
    for name, (bench, services) in BENCHES.items():
        if name in wanted:
            env = {f"PERENNIAL_STREAM_BYTES_{service.upper()}": str(UNHEARD_BYTES) for service in services}
            with _home() as home, Platform(Path(home), port=0, services=services, env=env) as platform:
                uvloop.run(bench(platform))
    if "platforms" in wanted:
        for name, services in (("identity + profile", ("identity", "profile")), ("all services", ())):
            with _home() as home, Platform(Path(home), port=0, services=services) as platform:
                asyncio.run(measure(name, platform))


def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=Path(os.environ.get("TMPDIR", ".cache")), prefix="bench-")


if __name__ == "__main__":
    main()
