"""The gateway alone: events accepted per second as a ratio to bare ASGI and to raw publishing, tracing on and off.

Nobody consumes the stream; it is emptied between slices. Slices of everything take turns in every round.
"""

import statistics
from collections.abc import Mapping, Sequence

import nats
import psutil
from nats.js.client import JetStreamContext

from perennial.common.contracts.gateway import STREAM, SUBJECT
from perennial.local.platform import Platform
from tests.load import servers
from tests.load.events import batches, single
from tests.load.stream import Raw, command
from tests.load.wire import Flood, Steady

ROUNDS = 7
SINGLES, BATCHES, BATCH = 4_000, 300, 100
CONNECTIONS, RAW_IN_FLIGHT = 64, 64
LATENCY_SECONDS, LOAD_SHARE = 5, 0.3
INGEST_BYTES = 2 << 30

Rates = dict[str, list[float]]


async def measure(platform: Platform) -> None:
    """Everything about the gateway that is no story of other services."""
    client = await nats.connect(platform.nats_url)
    js = client.jetstream(timeout=10)
    ones = [single(f"one{number}", platform.write_key) for number in range(SINGLES)]
    hundreds = [item.request for item in batches("hundred", BATCHES * BATCH, BATCH, platform.write_key)]
    with servers.bare() as bare, servers.traced(platform, bare) as traced:
        urls = {"bare": bare, "gateway": platform.gateway_url, "traced": traced}
        for url in urls.values():  # connections, code and pages are warm
            await Flood(ones[:1000]).run(url, CONNECTIONS)
            await Flood(hundreds[:50]).run(url, CONNECTIONS)
        raw = await Raw.open(platform.nats_url)
        messages = [await _published(js, hundreds[0], platform.gateway_url)] * BATCHES
        processes = {"gateway": platform.processes()["gateway"]["pid"], "nats": platform.processes()["nats"]["pid"]}
        singles = await _rounds(js, urls, ones, 1, processes)
        hundred = await _rounds(js, urls, hundreds, BATCH, processes, (raw, messages))
        raw.close()
        _report("single events", singles, "bare")
        _report(f"batches of {BATCH}, {len(messages[0]) / 1000:.0f} kB each in the stream", hundred, "bare", "raw")
        for name, requests, found in (("single events", ones, singles), ("batches", hundreds, hundred)):
            size = 1 if requests is ones else BATCH
            rate = statistics.median(found["gateway"]) * LOAD_SHARE / size
            await _latency(js, name, requests, rate, urls["gateway"])
    await client.close()


async def _rounds(
    js: JetStreamContext,
    urls: Mapping[str, str],
    requests: Sequence[bytes],
    size: int,
    processes: Mapping[str, int],
    raw: tuple[Raw, Sequence[bytes]] | None = None,
) -> Rates:
    """Events per second by name, and `µs <process>`: CPU per event of the untraced gateway's slices."""
    found: Rates = {}
    for number in range(ROUNDS):
        order = list(urls.items())
        for name, url in order if number % 2 else order[::-1]:
            before = _cpu(processes)
            rate = await Flood(requests).run(url, CONNECTIONS) * size
            found.setdefault(name, []).append(rate)
            if name == "gateway":
                for process, after in _cpu(processes).items():
                    spent = (after - before[process]) / (len(requests) * size) * 1e6
                    found.setdefault(f"µs {process}", []).append(spent)
            await js.purge_stream(STREAM)
        if raw:
            found.setdefault("raw", []).append(await raw[0].run(raw[1], RAW_IN_FLIGHT) * size)
            await js.purge_stream(STREAM)
    return found


def _report(title: str, found: Rates, *limits: str) -> None:
    accepted = statistics.median(found["gateway"])
    print(f"{title}: {ROUNDS} rounds")
    for limit, said in (("bare", "bare ASGI, body read, 200"), ("raw", "raw socket into JetStream")):
        if limit in limits:
            print(f"  {said:<28}{statistics.median(found[limit]):>9,.0f} events/s")
    ratios = [f"{_ratio(found, 'gateway', limit):.2f} x {limit}" for limit in limits]
    print(f"  {'accepted by the gateway':<28}{accepted:>9,.0f} events/s   {', '.join(ratios)}")
    traced, change = statistics.median(found["traced"]), _ratio(found, "traced", "gateway") - 1
    print(f"  {'the same with tracing':<28}{traced:>9,.0f} events/s   {change:+.0%}")
    costs = [f"{name[3:]} {statistics.median(values):.1f}" for name, values in found.items() if name.startswith("µs ")]
    print(f"  µs of CPU per event: {', '.join(costs)}")


def _ratio(found: Rates, one: str, other: str) -> float:
    return statistics.median(mine / limit for mine, limit in zip(found[one], found[other], strict=True))


async def _latency(js: JetStreamContext, name: str, requests: Sequence[bytes], rate: float, url: str) -> None:
    count = int(rate * LATENCY_SECONDS)
    waits = await Steady([requests[number % len(requests)] for number in range(count)], rate).run(url, CONNECTIONS)
    p50, p99 = statistics.median(waits) * 1e3, statistics.quantiles(waits, n=100)[98] * 1e3
    print(f"  answered at {LOAD_SHARE:.0%} load, {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    await js.purge_stream(STREAM)


async def _published(js: JetStreamContext, request: bytes, url: str) -> bytes:
    """What the gateway makes of a batch, to be published again by hand."""
    await js.purge_stream(STREAM)
    await Flood([request]).run(url, 1)
    message = await js.get_msg(STREAM, (await js.stream_info(STREAM)).state.last_seq)
    headers = "".join(f"{name}: {value}\r\n" for name, value in (message.headers or {}).items())
    return command(SUBJECT, f"NATS/1.0\r\n{headers}\r\n".encode(), message.data or b"")


def _cpu(processes: Mapping[str, int]) -> dict[str, float]:
    return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in processes.items()}
