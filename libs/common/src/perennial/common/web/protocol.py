"""HTTP/1.1 on the wire: uvicorn's parser, with an end to what a slow or malicious client can make it hold."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from perennial.common.problems import BadRequest, Problem, respond

HEAD_BYTES = 64 * 1024
FRAMING = 8  # bytes of framing for a byte of body: a client may send chunks of one byte

# A stranger's nonsense is answered, not logged: it would fill the disk at the stranger's pace.
_quiet = logging.getLogger("perennial.http")
_quiet.setLevel(logging.ERROR)


def has_arrived(receive: object) -> bool:
    """Whether all of a request's body is here already, by its `receive`: whoever reads it need set no deadline."""
    cycle = getattr(receive, "__self__", None)
    return isinstance(cycle, RequestResponseCycle) and not cycle.more_body


def when_gone(receive: object, call: Callable[[], object]) -> bool:
    """Have `call` called once the client has left before its answer is whole; false where nobody can tell.

    By a request's `receive`: for those who would otherwise have a task wait for nothing else.
    """
    cycle = getattr(receive, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or not isinstance(cycle.transport, Together):
        return False
    if cycle.disconnected:
        call()
    else:
        cycle.transport.gone = call
    return True


def _tell(cycle: RequestResponseCycle) -> None:
    if isinstance(cycle.transport, Together) and cycle.transport.gone is not None:
        cycle.transport.gone()


class HeadersTooLarge(Problem):
    """431."""

    status, code = 431, "headers_too_large"


class Together:
    """Sends the head of an answer with what comes next of it, if that comes at once: each write is a system call.

    Of a transport, it has what an answer needs.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._waited = False
        self.is_closing = transport.is_closing
        self.gone: Callable[[], object] | None = None

    def write(self, data: bytes) -> None:
        """Send, or hold what is first until the loop turns."""
        if not self._waited:
            self._waited, self._head = True, data
            self._loop.call_soon(self._send)
        elif self._head is None:
            self._transport.write(data)
        else:
            head, self._head = self._head, None
            self._transport.writelines([head, data])

    def close(self) -> None:
        """Close behind what was written."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


class Protocol(HttpToolsProtocol):
    """Bounds in bytes and seconds: of a request's head, of the end of a body nobody wants, of an unread answer.

    Trailers are dropped, and after an `Upgrade` that is not followed the connection ends: what comes next on it could
    be a body that is taken for another request.
    """

    head_seconds = 20.0
    rest_seconds = 5.0
    unread_seconds = 30.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = _quiet
        self._deaf = False
        self._in_head = True
        self._whole = True
        self._held = 0
        self._late: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._expect(None)
        self._set_stalled(None)
        cycle = self._unanswered()
        super().connection_lost(exc)
        if cycle is not None:
            _tell(cycle)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        if self._whole:
            self._expect_head()
        self._held += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(BadRequest("the request is not valid HTTP/1.1", code="invalid_http"))
        else:
            if self._held > HEAD_BYTES:
                self._refuse(HeadersTooLarge("the headers are too many or too large"))
            elif self._in_head and not self._whole:
                self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._whole, self._held = True, False, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._held = 0
        self._expect(None)
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.transport is self.transport:
            cycle.transport = Together(self.transport, self.loop)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._held -= FRAMING * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._whole = True
        self._held = 0
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._end()
        elif not self._whole and not self._in_head:
            self._expect(self.rest_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_stalled(self.unread_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._set_stalled(None)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end()

    def _expect_head(self) -> None:
        if self._late is None:
            self._expect(self.head_seconds)

    def _expect(self, seconds: float | None) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None if seconds is None else self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deaf = True
        if (cycle := self._unanswered()) is not None:
            cycle.keep_alive = False
        else:
            self.transport.close()
            self._end()

    def _unanswered(self) -> RequestResponseCycle | None:
        cycle: RequestResponseCycle | None = self.cycle
        return None if cycle is None or cycle.response_complete else cycle

    def _end(self) -> None:
        if self.transport.get_write_buffer_size():
            self._set_stalled(self.unread_seconds)

    def _set_stalled(self, seconds: float | None) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)

    def _refuse(self, problem: Problem) -> None:
        self._deaf = True
        if (cycle := self._unanswered()) is not None:
            cycle.disconnected = True
            cycle.message_event.set()
            _tell(cycle)
            if cycle.response_started:
                self.transport.abort()
                return
        response = respond(problem)
        fields = [*response.raw_headers, (b"cache-control", b"no-store"), (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(response.body))
        self.transport.close()
        self._end()
