"""A small SMTP server: the third party of the tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message


@dataclass
class Mailbox:
    """What arrived. Recipients named nobody are refused for ever; while `busy`, everybody is for now.

    It takes `pause` seconds over every message.
    """

    port: int = 0
    busy: bool = False
    pause: float = 0
    arrived: list[Message] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := await reader.readline():
            verb = line.split(b" ")[0].strip().upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await asyncio.sleep(self.pause)
                content = await reader.readuntil(b"\r\n.\r\n")
                self.arrived.append(message_from_bytes(content.removesuffix(b"\r\n.\r\n")))
            writer.write(self._answer(verb, line))
            await writer.drain()
            if verb == b"QUIT":
                break
        writer.close()

    def _answer(self, verb: bytes, line: bytes) -> bytes:
        if verb == b"RCPT" and self.busy:
            return b"451 try again later\r\n"
        if verb == b"RCPT" and b"nobody" in line:
            return b"550 no such mailbox\r\n"
        return b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n"


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    """A server on a free port, until the end of the block."""
    made = Mailbox()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
