"""Every route that is not the gateway's own: find the service, name the principal, pass both ways."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
import structlog
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send
from yarl import URL

from perennial.common.auth import Principal
from perennial.common.problems import Forbidden, Unauthorized, respond
from perennial.common.web import NotFound, Problem
from perennial.gateway import cors, permissions, tracing
from perennial.gateway.principals.authenticate import Shown, identify
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.problems import problem
from perennial.gateway.proxy import headers as crossing
from perennial.gateway.proxy.body import WHOLE_BYTES, Body
from perennial.gateway.proxy.routes import Route, RouteTable, allow_of, is_customers_own
from perennial.gateway.rules import check

log = structlog.get_logger()

RETRY_SECONDS = "5"
CONNECT_SECONDS = 2.0
KEEPALIVE_SECONDS = 4.0  # a service closes after 5: the gateway must let go first
_UNNEEDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Limits(NamedTuple):
    """What a service and a client may ask of the proxy: seconds for an answer and for a body, bytes of a body."""

    seconds: float
    body_bytes: int
    body_seconds: float = 30


class Proxy:
    """An ASGI application in front of the services."""

    def __init__(
        self, table: RouteTable, services: Mapping[str, str], tokens: Tokens, limits: Limits,
        rule_of: Callable[[str, str], str | None] = permissions.rule_of,
    ) -> None:  # fmt: skip
        self._table = table
        self._services = {name: url.rstrip("/") for name, url in services.items()}
        self._tokens = tokens
        self._limits = limits
        self._rule_of = rule_of
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=limits.seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections to the services."""
        await self._session.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors of the edge itself are problems, with the CORS headers of their route."""
        extra = cors.CUSTOMER_ANSWER if is_customers_own(scope["path"]) else []
        try:
            await self._forward(scope, receive, send, extra)
        except Problem as error:
            response = respond(error)
            response.raw_headers.extend(extra)
            await response(scope, receive, send)
        except ClientDisconnect:
            return

    async def _forward(self, scope: Scope, receive: Receive, send: Send, extra: cors.Headers) -> None:
        route, service = self._route(scope)
        headers = dict(scope["headers"])
        principal = self._principal(route, scope)
        base = self._services.get(service)
        if base is None:
            raise problem(503, "service_unavailable", f"{service} is not configured", {"Retry-After": RETRY_SECONDS})
        attributes = {"http.route": route.template, "http.request.method": scope["method"], "perennial.to": service}
        with tracing.span(f"{scope['method']} {route.template}", headers, attributes):
            arrived = functools.partial(self._still, principal, route, scope)
            body = Body(receive, headers, self._limits.body_bytes, self._limits.body_seconds, arrived)
            data = await body.forwarded()
            sent = crossing.inwards(
                scope["headers"],
                scope["state"]["request_id"],
                f"Bearer {self._tokens.internal(principal)}" if principal else None,
            )
            await _while_there(self._exchange(scope, _Call(service, base, sent, data), send, extra), body)

    def _route(self, scope: Scope) -> tuple[Route, str]:
        route = self._table.match(scope["raw_path"])
        if route is None:
            raise NotFound("there is no such route", code="unknown_route")
        scope["route"] = SimpleNamespace(path=route.template)
        service = route.services.get(scope["method"])
        if service is None:
            allow = allow_of(set(route.services))
            raise problem(405, "method_not_allowed", f"method must be one of {allow}", {"Allow": allow})
        return route, service

    def _principal(self, route: Route, scope: Scope) -> Principal | None:
        rule = self._rule_of(scope["method"], route.template)
        if rule == permissions.PUBLIC:
            return None
        shown: Shown | Problem = scope["state"]["shown"]
        if isinstance(shown, Problem):
            raise shown
        check(shown.principal, rule)
        if shown.must_change:
            raise Forbidden("choose a password first: PUT /v1/staff/me/password", code="password_change_required")
        return shown.principal

    async def _still(self, principal: Principal | None, route: Route, scope: Scope) -> None:
        """Raises a problem when who asked may not any more: a slow body must not outlive the key it came with."""
        if principal is None:
            return
        await identify(scope)
        if self._principal(route, scope) != principal:
            raise Unauthorized("Authorization: what it allows has just changed, try again", code="principal_changed")

    async def _exchange(self, scope: Scope, call: "_Call", send: Send, extra: cors.Headers) -> None:
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        url = URL(f"{call.base}{scope['raw_path'].decode('latin-1')}{query}", encoded=True)
        started = False
        try:
            async with self._session.request(
                scope["method"], url, headers=call.headers, data=call.data, allow_redirects=False,
                skip_auto_headers=_UNNEEDED,
            ) as answer:  # fmt: skip
                kept = [*crossing.outwards(answer.raw_headers, call.base), *extra]
                whole: bytes | None = None
                if scope["state"].get("head"):
                    answer.close()
                    whole = b""
                elif _is_short(answer):
                    whole = await answer.read()
                started = True
                await send({"type": "http.response.start", "status": answer.status, "headers": kept})
                if whole is None:
                    async for chunk in answer.content.iter_any():
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": whole or b""})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("proxy.failed", service=call.service, path=scope["path"], error=type(error).__name__)
            if started:
                raise  # the connection breaks: a cut answer must not look whole
            raise _problem_of(call.service, error) from error


class _Call(NamedTuple):
    """One request to a service."""

    service: str
    base: str
    headers: list[tuple[str, str]]
    data: bytes | AsyncIterator[bytes] | None


def _is_short(answer: aiohttp.ClientResponse) -> bool:
    return answer.content_length is not None and answer.content_length <= WHOLE_BYTES


async def _while_there(exchange: Coroutine[Any, Any, None], body: Body) -> None:
    """Do not ask a service for what nobody waits for any more. Raises ClientDisconnect."""
    work = asyncio.current_task()
    assert work is not None  # noqa: S101 (a coroutine runs in one)
    left = over = False

    def leave() -> None:
        nonlocal left
        left = not over and work.cancel()

    waiting = body.watch(leave)
    try:
        await exchange
    except asyncio.CancelledError:
        if left and work.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        over = True
        if waiting is not None:
            waiting.cancel()


def _problem_of(service: str, error: Exception) -> Problem:
    retry = {"Retry-After": RETRY_SECONDS}
    cause = error.__cause__ or error.__context__
    if isinstance(cause, Problem | ClientDisconnect):
        raise cause
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return problem(503, "service_unavailable", f"{service} is not reachable right now", retry)
    if isinstance(error, TimeoutError):
        return problem(504, "service_timeout", f"{service} did not answer in time", retry)
    return problem(502, "bad_gateway", f"{service} broke off its answer", retry)
