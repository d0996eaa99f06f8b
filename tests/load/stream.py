"""The limit of storing: the same messages from a raw socket into the same stream, many in flight."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

_ACK = b"MSG _INBOX.bench"


class Raw(asyncio.Protocol):
    """A connection to nats-server that publishes and counts acknowledgements."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._transport: asyncio.Transport
        self._left: Iterator[bytes] = iter(())
        self._tail = b""
        self._due = 0
        self._done: asyncio.Future[None] | None = None

    @classmethod
    async def open(cls, url: str) -> "Raw":
        """Connect, log in and listen for acknowledgements."""
        made = cls(url)
        await asyncio.get_running_loop().create_connection(
            lambda: made, str(made._parts.hostname), made._parts.port or 4222
        )
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        login = {"user": self._parts.username, "pass": self._parts.password, "verbose": False, "headers": True}
        self._transport.write(b"CONNECT %s\r\nSUB _INBOX.bench 1\r\n" % json.dumps(login).encode())

    def data_received(self, data: bytes) -> None:
        if b'"error"' in data or b"-ERR" in data:
            self.connection_lost(RuntimeError(repr(data[:500])))
        if data.startswith(b"PING"):
            self._transport.write(b"PONG\r\n")
        data = self._tail + data
        found = data.count(_ACK)
        self._tail = data[-(len(_ACK) - 1) :]
        for _ in range(found):
            self._due -= 1
            message = next(self._left, None)
            if message is not None:
                self._transport.write(message)
        if self._due == 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionError("nats-server hung up"))

    async def run(self, messages: Sequence[bytes], in_flight: int) -> float:
        """Messages per second, from the first byte to the last acknowledgement."""
        self._left, self._due = iter(messages), len(messages)
        self._done = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        for _ in range(in_flight):
            self._transport.write(next(self._left))
        await self._done
        return len(messages) / (time.perf_counter() - started)

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()


def command(subject: str, headers: bytes, payload: bytes, reply: str = "_INBOX.bench") -> bytes:
    """One HPUB that asks for an acknowledgement, unless `reply` is empty."""
    sizes = f"{len(headers)} {len(headers) + len(payload)}"
    return f"HPUB {subject} {reply} {sizes}\r\n".encode() + headers + payload + b"\r\n"
