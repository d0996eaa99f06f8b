"""What a client may ask of an answer: nothing new (If-None-Match), nothing at all (Prefer: return=minimal)."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.web import prefer

SHOWN_ONCE = "x-shown-once"
"""In a route's `openapi_extra`: its answer holds a secret that is never shown again, so it is never left out."""

_BODY_HEADERS = frozenset({b"content-length", b"content-type"})


class Conditional:
    """Answers 304 where the client has the version already, and an empty 204 or 201 where it wants nothing back.

    Pure ASGI; a request without these headers passes untouched. An answer that is cut short is sent at once: what
    the route still says of its body goes nowhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "POST", "PUT", "PATCH"}:
            await self._app(scope, receive, send)
            return
        reads = scope["method"] == "GET"
        known = dict(scope["headers"]).get(b"if-none-match", b"") if reads else b""
        minimal = not reads and prefer.wants(scope, prefer.MINIMAL)
        if not known and not minimal:
            await self._app(scope, receive, send)
            return
        cut = False

        async def sending(message: Message) -> None:
            nonlocal cut
            if message["type"] == "http.response.start":
                status = _minimal(scope, message) if minimal else _unchanged(known, message)
                cut = status is not None
                if status is not None:
                    await _empty(send, message, status, minimal=minimal)
            if not cut:
                await send(message)

        await self._app(scope, receive, sending)


def _unchanged(known: bytes, message: Message) -> int | None:
    tag = dict(message["headers"]).get(b"etag")
    return 304 if message["status"] == 200 and tag is not None and _matches(known, tag) else None


def _minimal(scope: Scope, message: Message) -> int | None:
    """What to answer instead: a change that bears its version, a creation that says where it is."""
    headers = dict(message["headers"])
    if message["status"] == 200 and b"etag" in headers and scope["method"] != "POST":
        return 204
    secret = SHOWN_ONCE in (getattr(scope.get("route"), "openapi_extra", None) or ())
    return 201 if message["status"] == 201 and b"location" in headers and not secret else None


async def _empty(send: Send, message: Message, status: int, *, minimal: bool) -> None:
    kept = [(name, value) for name, value in message["headers"] if name.lower() not in _BODY_HEADERS]
    if minimal:
        prefer.applied(MutableHeaders(raw=kept), prefer.MINIMAL)
    if status == 201:
        kept.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": kept})
    await send({"type": "http.response.body", "body": b""})


def _matches(known: bytes, tag: bytes) -> bool:
    """Weak comparison (RFC 9110, 13.1.2); our tags hold no comma."""
    plain = {item.strip().removeprefix(b"W/") for item in known.split(b",")}
    return b"*" in plain or tag.removeprefix(b"W/") in plain
