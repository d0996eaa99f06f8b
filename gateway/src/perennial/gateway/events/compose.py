"""Ask profile for an event, and identity where profile has none: it may have been parked on the way."""

from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import structlog
from opentelemetry import propagate
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.problems import respond
from perennial.gateway import tracing
from perennial.gateway.events.schemas import ParkedEvent
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.problems import problem

log = structlog.get_logger()

SECONDS = 5.0
ROUTE = "/v1/events/{message_id}"
_PREFIX = "/v1/events/"


def asked(scope: Scope) -> bool:
    """Whether a request may be for one event."""
    path: str = scope["path"]
    return scope["method"] == "GET" and path.startswith(_PREFIX)


class Events:
    """Answers with profile's event, or with identity's parked one."""

    def __init__(self, identity: str | None, tokens: Tokens, sources: Callable[[], Collection[str]]) -> None:
        """`identity` is where that service is; `sources` are the ids of all sources there are."""
        self._identity = identity.rstrip("/") if identity else None
        self._tokens = tokens
        self._sources = sources
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=timeout
        )  # fmt: skip

    async def close(self) -> None:
        """Close the connections to identity."""
        await self._session.close()

    async def answer(self, proxy: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The proxy judges and answers it; only what is found nowhere is looked for further."""
        missing: list[Message] = []

        async def passing(message: Message) -> None:
            if missing or _is_missing(message, scope):
                missing.append(message)
            else:
                await send(message)

        await proxy(scope, receive, passing)
        if not missing:
            return
        status, found = await self._parked(scope)
        if status == 200:
            await _say(send, missing[0], found, head=bool(scope["state"].get("head")))
        elif status < 500:
            for message in missing:
                await send(message)
        else:
            said = "the event is not in the timeline, and identity, which may have parked it, did not answer"
            unknown = problem(503, "service_unavailable", said, {"Retry-After": "5"})
            await respond(unknown)(scope, receive, send)

    async def _parked(self, scope: Scope) -> tuple[int, bytes]:
        """Status and body of identity's answer; 503 for none."""
        if self._identity is None:
            return 404, b""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        sources = [query["source"]] if query.get("source") else sorted(self._sources())
        wanted: dict[str, Any] = {"message_id": scope["path"].removeprefix(_PREFIX), "sources": sources}
        headers = {
            "Authorization": f"Bearer {self._tokens.internal(scope['state']['asks'])}",
            "X-Request-Id": scope["state"]["request_id"],
        }
        with tracing.span("look for a parked event", dict(scope["headers"]), {}):
            propagate.inject(headers)
            try:
                async with self._session.post(
                    f"{self._identity}/v1/identity/parked/lookup", json=wanted, headers=headers, allow_redirects=False
                ) as answer:  # fmt: skip
                    body = await answer.read()
                    return answer.status, _checked(body) if answer.status == 200 else body
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                log.warning("events.unavailable", error=repr(error))
                return 503, b""


def _checked(body: bytes) -> bytes:
    """Identity's answer as it is promised. Raises ValueError."""
    return ParkedEvent.model_validate_json(body).model_dump_json().encode()


def _is_missing(message: Message, scope: Scope) -> bool:
    """Whether profile's answer begins, and says that there is no such event."""
    route = getattr(scope.get("route"), "path", None)
    return message["type"] == "http.response.start" and message["status"] == 404 and route == ROUTE


async def _say(send: Send, start: Message, body: bytes, *, head: bool) -> None:
    kept = [(name, value) for name, value in start["headers"] if name not in {b"content-length", b"content-type"}]
    headers = [*kept, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})
