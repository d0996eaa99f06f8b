"""What holds for every request before anything else looks at it: sane headers, and an id to find it by."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.ids import uuid7
from perennial.common.problems import respond
from perennial.gateway.problems import problem
from perennial.gateway.proxy.headers import request_id_of

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024


class Guard:
    """Refuses oversized heads; gives every request an id and every answer an `X-Request-Id`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        request_id = request_id_of(dict(headers)) or str(uuid7())
        scope.setdefault("state", {})["request_id"] = request_id
        own = (b"x-request-id", request_id.encode())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), own]
            await send(message)

        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            response = respond(problem(414, "uri_too_long", "the path and query are too long"))
            await response(scope, receive, sending)
        elif len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            response = respond(problem(431, "headers_too_large", "the headers are too many or too large"))
            await response(scope, receive, sending)
        else:
            await self._app(scope, receive, sending)


class NotAllowed:
    """Answers 405 with every method that a path has: the framework would name those of one route only."""

    def __init__(self, methods: Iterable[str]) -> None:
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the method."""
        detail = f"method must be one of {self._allow}"
        await respond(problem(405, "method_not_allowed", detail, {"Allow": self._allow}))(scope, receive, send)
