"""Sending over real connections, and watching events become visible in the profile's table."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg
import nats
import psutil
from nats.aio.client import Client

from perennial.local.platform import Platform
from tests.load.events import Batch, batch, event

CONNECTIONS = 16
GLANCE = 0.01
GIVE_UP_SECONDS = 120


@dataclass(frozen=True)
class Slice:
    """One round: rates in events per second, and CPU in µs per event by process.

    `handled` is when every service has done with all of it, and with what the others said because of it.
    """

    accepted: float
    visible: float
    handled: float
    cpu: dict[str, float]


class Load:
    """A client of one platform, bounded in connections and time."""

    def __init__(self, platform: Platform, database: asyncpg.Connection, broker: Client) -> None:
        self._platform = platform
        self._database = database
        self._broker = broker

    @classmethod
    async def open(cls, platform: Platform) -> "Load":
        """Connect to the profile's table and to the broker, to watch them."""
        return cls(platform, await asyncpg.connect(platform.database_url), await nats.connect(platform.nats_url))

    async def run(self, batches: Sequence[Batch]) -> Slice:
        """Send everything as fast as it is taken; wait until all of it is visible."""
        before, cpu, started = await self._visible(), self._cpu(), time.perf_counter()
        queue = iter(batches)
        await asyncio.gather(*(self._send(queue) for _ in range(CONNECTIONS)))
        accepted = time.perf_counter() - started
        count = sum(len(item.events) for item in batches)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while await self._visible() < before + count:
                await asyncio.sleep(0.02)
        visible = time.perf_counter() - started
        await self._drained()
        handled = time.perf_counter() - started
        spent = {name: (after - cpu.get(name, 0)) / count * 1e6 for name, after in self._cpu().items()}
        return Slice(count / accepted, count / visible, count / handled, spent)

    async def latency(self, rate: float, seconds: float, size: int) -> list[float]:
        """Seconds from the gateway's answer to visible, at `rate` events per second, one probe a batch of `size`."""
        pause, deadline = size / rate, time.perf_counter() + seconds
        accepted: dict[str, float] = {}
        seen: dict[str, float] = {}
        watching = asyncio.create_task(self._watch(accepted, seen))
        reader, writer = await self._connect()
        number, due = 0, time.perf_counter()
        while due < deadline:
            events = [event(f"probe{size}", number + n, random.Random(number + n)) for n in range(size)]
            request = batch(events, self._platform.write_key).request
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await _exchange(reader, writer, request)
            accepted[events[0]["messageId"]] = time.perf_counter()
            number, due = number + size, due + pause
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while len(seen) < len(accepted):
                await asyncio.sleep(0.05)
        watching.cancel()
        writer.close()
        return [max(0.0005, seen[probe] - accepted[probe]) for probe in accepted]

    async def _watch(self, accepted: dict[str, float], seen: dict[str, float]) -> None:
        while True:
            waiting = [probe for probe in accepted if probe not in seen]
            if waiting:
                rows = await self._database.fetch(
                    "SELECT message_id FROM profile.event WHERE message_id = ANY($1::text[])", waiting
                )
                now = time.perf_counter()
                seen.update({row["message_id"]: now for row in rows})
            await asyncio.sleep(GLANCE)

    async def _drained(self) -> None:
        """Wait until nothing waits in any stream or outbox."""
        js = self._broker.jetstream(timeout=10)
        names = [name for name in self._platform.processes() if name not in {"gateway", "postgres", "nats"}]
        waiting = " + ".join(f"(SELECT count(*) FROM {name}.outbox WHERE published_at IS NULL)" for name in names)
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while True:
                streams = [str(info.config.name) for info in await js.streams_info()]
                consumers = [info for stream in streams for info in await js.consumers_info(stream)]
                ours = [info for info in consumers if info.name.split("-")[0] in names]
                left = sum((info.num_pending or 0) + (info.num_ack_pending or 0) for info in ours)
                if left == 0 and not await self._database.fetchval(f"SELECT {waiting}"):
                    return
                await asyncio.sleep(0.1)

    async def _visible(self) -> int:
        tracked = "SELECT count(*) FROM profile.event WHERE type IN ('identify', 'track', 'page', 'screen')"
        return int(await self._database.fetchval(tracked))

    def _cpu(self) -> dict[str, float]:
        found = {}
        for name, process in self._platform.processes().items():
            tree = [psutil.Process(process["pid"])]
            tree += tree[0].children(recursive=True)
            found[name] = sum(sum(part.cpu_times()[:2]) for part in tree)
        return found

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._platform.gateway_url)
        return await asyncio.open_connection(parts.hostname, parts.port)

    async def _send(self, queue: Iterator[Batch]) -> None:
        reader, writer = await self._connect()
        for item in queue:
            await _exchange(reader, writer, item.request)
        writer.close()

    async def close(self) -> None:
        """Disconnect."""
        await self._database.close()
        await self._broker.close()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """One request and its answer on a kept connection; a 503 is asked again."""
    while True:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        body = await reader.readexactly(length)
        if head.startswith(b"HTTP/1.1 200"):
            return
        if not head.startswith(b"HTTP/1.1 503"):
            raise RuntimeError(f"{head!r} {body!r}")
        await asyncio.sleep(0.2)
