"""HTTP as cheap as Python can: prebuilt requests over kept connections, answers only measured and checked for 200."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

_LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """One request at a time; `answered` is called after each answer. Anything but 200 ends the run."""

    def __init__(self, run: "Flood | Steady") -> None:
        self._run = run
        self._held = b""
        self.due = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._held + data if self._held else data
        head = data.find(b"\r\n\r\n")
        at = data.find(_LENGTH)
        if head < 0 or len(data) < head + 4 + int(data[at + len(_LENGTH) : data.index(b"\r", at)]):
            self._held = data
            return
        self._held = b""
        if not data.startswith(b"HTTP/1.1 200"):
            self._run.failed(data)
            return
        self._run.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.failed(repr(exc).encode())

    def close(self) -> None:
        self._transport.abort()


class Flood:
    """As fast as it is taken, on a number of connections."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._left: Iterator[bytes] = iter(requests)
        self._open = len(requests)
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, connection: Connection) -> None:
        self._open -= 1
        request = next(self._left, None)
        if request is not None:
            connection.send(request)
        elif self._open == 0 and not self._done.done():
            self._done.set_result(None)

    def failed(self, said: bytes) -> None:
        if not self._done.done():
            self._done.set_exception(RuntimeError(repr(said[:500])))

    async def run(self, url: str, connections: int) -> float:
        """Requests per second."""
        opened = await _open(url, min(connections, self._open), self)
        started, count = time.perf_counter(), self._open
        for connection in opened:
            connection.send(next(self._left))
        await self._done
        spent = time.perf_counter() - started
        for connection in opened:
            connection.close()
        return count / spent


class Steady:
    """At a rate, whatever the answers take: a request that finds no free connection waits, and its wait counts."""

    def __init__(self, requests: Sequence[bytes], rate: float) -> None:
        self._requests = requests
        self._rate = rate
        self._free: deque[Connection] = deque()
        self._late: deque[tuple[float, bytes]] = deque()
        self._failure: bytes | None = None
        self.waits: list[float] = []

    def answered(self, connection: Connection) -> None:
        self.waits.append(time.perf_counter() - connection.due)
        if self._late:
            connection.due, request = self._late.popleft()
            connection.send(request)
        else:
            self._free.append(connection)

    def failed(self, said: bytes) -> None:
        self._failure = self._failure or said

    async def run(self, url: str, connections: int) -> list[float]:
        """Seconds from when each request was due to its answer."""
        opened = await _open(url, connections, self)
        self._free.extend(opened)
        started = time.perf_counter()
        for number, request in enumerate(self._requests):
            due = started + number / self._rate
            while (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(ahead, 0.001))
            if self._free:
                connection = self._free.popleft()
                connection.due = max(due, time.perf_counter() - 0.002)  # the timer's own step is not the server's
                connection.send(request)
            else:
                self._late.append((due, request))
        async with asyncio.timeout(30):
            while len(self.waits) < len(self._requests) and self._failure is None:
                await asyncio.sleep(0.01)
        if self._failure is not None:
            raise RuntimeError(repr(self._failure[:500]))
        for connection in opened:
            connection.close()
        return self.waits


async def _open(url: str, connections: int, run: Flood | Steady) -> list[Connection]:
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    made = [
        loop.create_connection(lambda: Connection(run), str(parts.hostname), parts.port or 80)
        for _ in range(connections)
    ]
    return [connection for _, connection in await asyncio.gather(*made)]
