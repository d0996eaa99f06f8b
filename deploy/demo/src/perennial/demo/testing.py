"""For the tests: somebody else's HTTP server, which answers as it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

Answer = tuple[int, dict[str, str], str]
ACCEPT: Answer = (200, {}, '{"success": true, "accepted": 0, "rejected": []}')


@dataclass
class Server:
    """Answers each request with the next of `script`, then with `always`; None cuts the connection."""

    script: list[Answer | None] = field(default_factory=list)
    always: Callable[[bytes], Answer] = lambda _: ACCEPT
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Self]:
        """Serve on the port, or on a free one when it is 0."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while (answer := await self._answer(reader)) is not None:
                status, headers, text = answer
                lines = {"Content-Length": str(len(text.encode())), **headers}
                fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n{text}".encode())
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        self.heads.append(head)
        self.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
        return self.script.pop(0) if self.script else self.always(self.bodies[-1])
