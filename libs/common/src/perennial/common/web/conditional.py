"""What a client may ask of an answer: nothing new (If-None-Match), nothing at all (Prefer: return=minimal)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODY_HEADERS = frozenset({b"content-length", b"content-type"})


class Conditional:
    """Answers 304 where the client has the version already, and 204 where it wants no representation back.

    Pure ASGI; a request without these headers passes untouched. An answer that is cut short is sent at once: what
    the route still says of its body goes nowhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "PUT", "PATCH"}:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        known = headers.get(b"if-none-match", b"") if scope["method"] == "GET" else b""
        minimal = scope["method"] != "GET" and _wants_nothing(headers.get(b"prefer", b""))
        if not known and not minimal:
            await self._app(scope, receive, send)
            return
        cut = False

        async def sending(message: Message) -> None:
            nonlocal cut
            if message["type"] == "http.response.start":
                answer = dict(message["headers"])
                tag = answer.get(b"etag")
                cut = message["status"] == 200 and tag is not None and (minimal or _matches(known, tag))
                if cut:
                    await _empty(send, message, minimal=minimal)
            if not cut:
                await send(message)

        await self._app(scope, receive, sending)


async def _empty(send: Send, message: Message, *, minimal: bool) -> None:
    kept = [(name, value) for name, value in message["headers"] if name.lower() not in _BODY_HEADERS]
    if minimal:
        kept += [(b"preference-applied", b"return=minimal"), (b"vary", b"prefer")]
    await send({"type": "http.response.start", "status": 204 if minimal else 304, "headers": kept})
    await send({"type": "http.response.body", "body": b""})


def _wants_nothing(prefer: bytes) -> bool:
    wishes = (wish.partition(b";")[0].strip().lower().replace(b" ", b"") for wish in prefer.split(b","))
    return any(wish in {b"return=minimal", b'return="minimal"'} for wish in wishes)


def _matches(known: bytes, tag: bytes) -> bool:
    """Weak comparison (RFC 9110, 13.1.2); our tags hold no comma."""
    plain = {item.strip().removeprefix(b"W/") for item in known.split(b",")}
    return b"*" in plain or tag.removeprefix(b"W/") in plain
