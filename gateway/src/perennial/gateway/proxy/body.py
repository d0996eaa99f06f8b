"""A request's body, never more than a limit: small ones whole, others as they come."""

from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from perennial.gateway.problems import problem

WHOLE_BYTES = 64 * 1024


async def forwarded(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes | AsyncIterator[bytes] | None:
    """What to send on. Raises a problem (413) for more than `limit` bytes, also later, while it streams."""
    length = headers.get(b"content-length", b"")
    if not length and b"transfer-encoding" not in headers:
        return None
    _check_length(length, limit)
    if length.isdigit() and int(length) <= WHOLE_BYTES:
        return b"".join([chunk async for chunk in _chunks(receive, limit)])
    return _chunks(receive, limit)


async def whole(receive: Receive, headers: dict[bytes, bytes], limit: int) -> bytes:
    """All of a body. Raises a problem (413) for more than `limit` bytes, and ClientDisconnect."""
    _check_length(headers.get(b"content-length", b""), limit)
    return b"".join([chunk async for chunk in _chunks(receive, limit)])


async def _chunks(receive: Receive, limit: int) -> AsyncIterator[bytes]:
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


def _too_large(limit: int) -> Exception:
    return problem(413, "payload_too_large", f"body is larger than {limit} bytes")
