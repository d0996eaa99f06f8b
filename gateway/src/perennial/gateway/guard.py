"""What holds for every request before anything else looks at it: a sane size, and an id to find it by."""

import asyncio
from collections.abc import Iterable, Sequence

from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.ids import uuid7
from perennial.common.problems import Problem, respond
from perennial.gateway.problems import problem
from perennial.gateway.proxy import body
from perennial.gateway.proxy.headers import request_id_of

MAX_HEADERS = 100
MAX_HEADER_BYTES = 32 * 1024
MAX_TARGET_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024


class Guard:
    """Refuses oversized heads; gives every request an id and every answer an `X-Request-Id`.

    It also bounds the bodies of the gateway's own routes: the framework reads them whole before it asks for a key.
    Tracking and the proxy have limits of their own.
    """

    def __init__(self, app: ASGIApp, own: Sequence[BaseRoute]) -> None:
        self._app = app
        self._own = own

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
        elif any(route.matches(scope)[0] is Match.FULL for route in self._own):
            await self._bounded(scope, receive, sending)
        else:
            await self._app(scope, receive, sending)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = scope["app"].state.edge.settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                content = await body.whole(receive, dict(scope["headers"]), MAX_BODY_BYTES)
        except Problem as error:
            await respond(error)(scope, receive, send)
        except TimeoutError:
            late = problem(408, "body_timeout", f"the body did not arrive within {seconds:g} s")
            await respond(late)(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await self._app(scope, _replayed(content, receive), send)


def _replayed(content: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


class NotAllowed:
    """Answers 405 with every method that a path has: the framework would name those of one route only."""

    def __init__(self, methods: Iterable[str]) -> None:
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the method."""
        detail = f"method must be one of {self._allow}"
        await respond(problem(405, "method_not_allowed", detail, {"Allow": self._allow}))(scope, receive, send)
