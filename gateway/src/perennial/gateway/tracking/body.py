"""The bytes of a request: read with a cap, inflated with a cap."""

import asyncio
import zlib

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from perennial.gateway.tracking.refusal import Refusal

GZIP_OVERHEAD = 4096
_GZIP_WBITS = 31


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
    sent = await _collect(receive, cap, limit, seconds)
    return inflate(sent, limit) if zipped else sent


def inflate(zipped: bytes, limit: int) -> bytes:
    """Inflate gzip, stopping at `limit`: a bomb never unfolds. Raises Refusal."""
    parts: list[bytes] = []
    room = limit
    while zipped:
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


async def _collect(receive: Receive, cap: int, limit: int, seconds: float) -> bytes:
    message = await receive()
    first = _chunk(message)
    if len(first) > cap:
        raise _too_large(limit)
    if not message.get("more_body", False):
        return first
    try:
        async with asyncio.timeout(seconds):
            return await _collect_rest(receive, first, cap, limit)
    except TimeoutError as error:
        raise Refusal(503, "body_timeout", f"the body did not arrive within {seconds:g} s") from error


async def _collect_rest(receive: Receive, first: bytes, cap: int, limit: int) -> bytes:
    buffer = bytearray(first)
    while True:
        message = await receive()
        buffer += _chunk(message)
        if len(buffer) > cap:
            raise _too_large(limit)
        if not message.get("more_body", False):
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
