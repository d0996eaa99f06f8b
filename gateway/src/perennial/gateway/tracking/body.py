"""The bytes of a request: read with a cap, inflated with a cap."""

import asyncio
import zlib

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from perennial.common.web.protocol import has_arrived
from perennial.gateway.tracking.refusal import Refusal

GZIP_OVERHEAD = 4096
MOST_MEMBERS = 64
MOST_HELD = 128 * 1024 * 1024
_GZIP_WBITS = 31


class _Held:
    """The bytes of bodies that are still arriving, in the whole process: slow clients are many."""

    def __init__(self) -> None:
        self.size = 0


_held = _Held()


async def read(receive: Receive, headers: dict[bytes, bytes], limit: int, seconds: float) -> bytes:
    """The body as it was before compression, of `limit` bytes at most, whatever its content type.

    Raises Refusal (400, 413, 415, 503) and ClientDisconnect.
    """
    encoding = headers.get(b"content-encoding", b"").strip().lower()
    if encoding not in (b"", b"identity", b"gzip", b"x-gzip"):
        raise Refusal(415, "unsupported_encoding", "Content-Encoding must be gzip or identity")
    zipped = encoding.endswith(b"gzip")
    cap = limit + GZIP_OVERHEAD if zipped else limit
    _check_length(headers.get(b"content-length"), cap, limit)
    try:
        if has_arrived(receive):
            sent = await _collect(receive, cap, limit)
        else:
            async with asyncio.timeout(seconds):
                sent = await _collect(receive, cap, limit)
    except TimeoutError as error:
        raise Refusal(503, "body_timeout", f"the body did not arrive within {seconds:g} s") from error
    return inflate(sent, limit) if zipped else sent


def inflate(zipped: bytes, limit: int) -> bytes:
    """Inflate gzip, stopping at `limit`: a bomb never unfolds. Raises Refusal."""
    parts: list[bytes] = []
    room = limit
    while zipped:
        if len(parts) == MOST_MEMBERS:  # each costs a copy of all that follow
            raise Refusal(400, "invalid_gzip", f"body has more than {MOST_MEMBERS} gzip members")
        member = zlib.decompressobj(_GZIP_WBITS)
        try:
            part = member.decompress(zipped, room + 1)
        except zlib.error as error:
            raise Refusal(400, "invalid_gzip", "body is not valid gzip") from error
        room -= len(part)
        if room < 0:
            raise _too_large(limit)
        if not member.eof:
            raise Refusal(400, "invalid_gzip", "body ends in the middle of its gzip data")
        parts.append(part)
        zipped = member.unused_data.lstrip(b"\0")  # some writers pad to a block
    return b"".join(parts)


async def _collect(receive: Receive, cap: int, limit: int) -> bytes:
    message = await receive()
    first = _chunk(message)
    if len(first) > cap:
        raise _too_large(limit)
    if not message.get("more_body", False):
        return first
    buffer = bytearray(first)
    counted = 0
    try:
        while message.get("more_body", False):
            _held.size += len(buffer) - counted
            counted = len(buffer)
            if _held.size > MOST_HELD:
                raise Refusal(503, "overloaded", "too many bodies are arriving at once, send the events again later")
            message = await receive()
            buffer += _chunk(message)
            if len(buffer) > cap:
                raise _too_large(limit)
    finally:
        _held.size -= counted
    return bytes(buffer)


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    body: bytes = message.get("body", b"")
    return body


def _check_length(sent: bytes | None, cap: int, limit: int) -> None:
    if sent and sent.isdigit() and (len(sent) > len(str(cap)) or int(sent) > cap):
        raise _too_large(limit)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "payload_too_large", f"body is larger than {limit} bytes")
