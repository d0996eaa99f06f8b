"""A request's body, never more than a limit and never later than a deadline: small ones whole, others as they come."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from perennial.common.problems import Problem
from perennial.common.web.protocol import has_arrived, when_gone
from perennial.gateway.problems import problem

WHOLE_BYTES = 64 * 1024


class Body:
    """What a client sends, and whether it is still there; `arrived` is asked before the last of it goes on."""

    def __init__(
        self,
        receive: Receive,
        headers: dict[bytes, bytes],
        limit: int,
        seconds: float,
        arrived: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive = receive
        self._arrived = arrived
        self._length = headers.get(b"content-length", b"")
        self._empty = not self._length and b"transfer-encoding" not in headers
        self._limit = limit
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._ended = asyncio.Event()

    async def forwarded(self) -> bytes | AsyncIterator[bytes] | None:
        """What to send on.

        Raises a problem (408, 413, what `arrived` raises), also later, while it streams, and ClientDisconnect.
        """
        if self._empty:
            self._ended.set()
            return None
        _check_length(self._length, self._limit)
        if self._length.isdigit() and int(self._length) <= WHOLE_BYTES:
            if has_arrived(self._receive):  # at the same moment at which somebody looked who asks
                self._ended.set()
                return b"".join([chunk async for chunk in _limited(self._receive, self._limit)])
            return b"".join([chunk async for chunk in self._chunks()])
        return self._chunks()

    def watch(self, leave: Callable[[], object]) -> asyncio.Task[None] | None:
        """Have `leave` called once the client has left; the task that waits for it, where one must."""
        if self._ended.is_set() and when_gone(self._receive, leave):
            return None
        task = asyncio.ensure_future(self._gone())
        task.add_done_callback(lambda done: _left(done, leave))
        return task

    async def _gone(self) -> None:
        """Wait until the client has left: it may, after its body has arrived."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Each chunk when the next one is there: a service must not act on a body that nobody answers for any more."""
        held = b""
        try:
            async for chunk in _limited(self._in_time, self._limit):
                if held:
                    yield held
                held = chunk
        except TimeoutError as error:
            raise too_slow(self._seconds) from error
        await self._arrived()
        if held:
            yield held
        self._ended.set()

    async def _in_time(self) -> Message:
        async with asyncio.timeout_at(self._deadline):
            return await self._receive()


def _left(done: asyncio.Task[None], leave: Callable[[], object]) -> None:
    if not done.cancelled():
        done.exception()  # whatever it is, nobody is there any more
        leave()


async def whole(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """All of a body. Raises a problem (413) for more than `limit` bytes, and ClientDisconnect."""
    _check_length(headers.get(b"content-length", b""), limit)
    return b"".join([chunk async for chunk in _limited(receive, limit)])


def too_slow(seconds: float) -> Problem:
    """The 408 of a body that takes too long."""
    return problem(408, "body_timeout", f"the body did not arrive within {seconds:g} s")


async def _limited(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    seen, more = 0, True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit)
        if chunk:
            yield chunk
        more = message.get("more_body", False)


def _check_length(sent: bytes, limit: int) -> None:
    if sent.isdigit() and (len(sent) > len(str(limit)) or int(sent) > limit):
        raise _too_large(limit)


def _too_large(limit: int) -> Problem:
    return problem(413, "payload_too_large", f"body is larger than {limit} bytes")
