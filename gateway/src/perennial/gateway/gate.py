"""What holds for every request but tracking: a rate, a body with an end, and answers to HEAD and OPTIONS."""

import asyncio
from collections.abc import Iterable, Sequence

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.auth import Principal
from perennial.common.problems import Problem, respond
from perennial.gateway import cors, limits, probes, tracing
from perennial.gateway.deps import Edge
from perennial.gateway.guard import refuse
from perennial.gateway.principals.authenticate import identify
from perennial.gateway.problems import problem
from perennial.gateway.proxy import body
from perennial.gateway.proxy.routes import allow_of, is_customers_own
from perennial.gateway.rates import client_address

MAX_BODY_BYTES = 64 * 1024
LARGE_BODY_BYTES = 512 * 1024
LARGE = frozenset({"/v1/sources/{source_id}/tracking-plan", "/v1/sources/{source_id}/tracking-plan/check"})
UNCOUNTED = frozenset({"/healthz", "/readyz", "/metrics"})

Headers = list[tuple[bytes, bytes]]


class Gate:
    """Counts requests; reads the bodies of the gateway's own routes, which the framework would read without end."""

    def __init__(self, app: ASGIApp, own: Sequence[APIRoute]) -> None:
        self._app = app
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or not."""
        if scope["type"] != "http" or scope["path"] in UNCOUNTED:
            await self._app(scope, receive, send)
            return
        edge: Edge = scope["app"].state.edge
        try:
            sending = _sending(send, scope["method"], await _count(edge, scope))
            if scope["method"] == "OPTIONS" and is_customers_own(scope["path"]):
                await _preflight(sending)
            elif scope["method"] == "HEAD":
                await self._head(scope, receive, sending)
            else:
                await self._pass(edge, scope, receive, sending)
        except Problem as error:
            await refuse(error, scope, receive, send)
        except ClientDisconnect:
            return

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer like GET; the server drops the body, and a service is not made to send it."""
        as_get = {**scope, "method": "GET"}
        as_get["state"]["head"] = True
        try:
            await self._app(as_get, receive, send)
        finally:
            scope["route"] = as_get.get("route")

    async def _pass(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        own = next((route for route in self._own if route.matches(scope)[0] is Match.FULL), None)
        if own is None:
            await self._app(scope, receive, send)
            return
        attributes = {"http.route": own.path, "http.request.method": scope["method"]}
        with tracing.span(f"{scope['method']} {own.path}", dict(scope["headers"]), attributes):
            large = own.path in LARGE and isinstance(scope["state"]["asks"], Principal)
            limit = LARGE_BODY_BYTES if large else MAX_BODY_BYTES
            content = await _whole(scope, receive, edge.settings.body_seconds, limit)
            await identify(scope)  # a slow body must not outlive the key that it came with
            await self._app(scope, _replayed(content, receive), send)


async def _count(edge: Edge, scope: Scope) -> Headers:
    """Who asks, kept for those who come after; and what is left to them. Raises a problem (429).

    An address that has used up what strangers may ask makes nobody look anything up: it is asked about in memory only.
    """
    address = client_address(scope, dict(scope["headers"]), edge.settings.trusted_proxies)
    await identify(scope, look=not edge.rates.is_spent(address))
    asks = scope["state"]["asks"]
    principal = asks if isinstance(asks, Principal) else None
    counted = [edge.rates.take(principal, address)]
    if principal is not None and counted[0][1].allowed and probes.is_probe(principal, scope["query_string"]):
        counted.append(edge.rates.take_probe(principal))
    for policy, taken in counted:
        if not taken.allowed:
            raise limits.refused(policy, taken)
    said = [pair for policy, taken in counted for pair in limits.headers(policy, taken).items()]
    return [(name.lower().encode(), value.encode()) for name, value in said]


def _sending(send: Send, method: str, counted: Headers) -> Send:
    """Say what is left; HEAD gets no body, and a 405 is what OPTIONS asks for."""
    drop = method == "HEAD"

    async def sending(message: Message) -> None:
        nonlocal drop
        if message["type"] == "http.response.start":
            said = [*message.get("headers", ()), *counted]
            if message["status"] == 405:
                said = [(name, _completed(value) if name == b"allow" else value) for name, value in said]
                if method == "OPTIONS":
                    message["status"], drop = 204, True
                    said = [field for field in said if not field[0].startswith(b"content-")]
            message["headers"] = said
        elif drop:
            message["body"] = b""
        await send(message)

    return sending


def _completed(allow: bytes) -> bytes:
    return allow_of({method.strip() for method in allow.decode("latin-1").split(",")}).encode()


async def _preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": list(cors.CUSTOMER_PREFLIGHT)})
    await send({"type": "http.response.body", "body": b""})


async def _whole(scope: Scope, receive: Receive, seconds: float, limit: int) -> bytes:
    try:
        async with asyncio.timeout(seconds):
            return await body.whole(receive, dict(scope["headers"]), limit)
    except TimeoutError as error:
        raise body.too_slow(seconds) from error


def _replayed(content: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


class NotAllowed:
    """Answers 405 with every method that a path has: the framework would name those of one route only."""

    def __init__(self, methods: Iterable[str]) -> None:
        self._allow = allow_of(set(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the method."""
        detail = f"method must be one of {self._allow}"
        await respond(problem(405, "method_not_allowed", detail, {"Allow": self._allow}))(scope, receive, send)
