"""Ask identity what would change, then every service what it would show, as the same principal."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import structlog
from opentelemetry import propagate
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perennial.common.auth import Principal
from perennial.gateway import tracing
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.problems import problem

log = structlog.get_logger()

SERVICES = ("campaigns", "loyalty", "profile", "segments", "tickets")
SECONDS = 5.0
AGAIN_SECONDS = 0.5
_COLLECTIONS = ("merges", "splits")


def asked(scope: Scope) -> bool:
    """Whether a request may be for a preview; what `preview` says is for identity to read."""
    if scope["method"] != "POST" or b"preview" not in scope["query_string"]:
        return False
    match scope["path"].split("/"):
        case ["", "v1", collection] | ["", "v1", collection, _, "undo"]:
            names = [name for name, _ in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)]
            return collection in _COLLECTIONS and "preview" in names
    return False


class Previews:
    """Fills the services' answers into identity's."""

    def __init__(self, services: Mapping[str, str], tokens: Tokens, seconds: float = SECONDS) -> None:
        """`seconds` is what all services together have for their answers."""
        self._services = {name: url.rstrip("/") for name, url in services.items()}
        self._tokens = tokens
        self._seconds = seconds
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)

    async def close(self) -> None:
        """Close the connections to the services."""
        await self._session.close()

    async def answer(self, proxy: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The proxy judges it as it would the real thing; what is no preview passes as it is."""
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        try:
            await proxy(scope, receive, keep)
        except aiohttp.ClientError as error:
            raise problem(502, "bad_gateway", "identity broke off its answer", {"Retry-After": "5"}) from error
        found = _preview(said)
        if found is not None:
            attributes = {"perennial.assignments": len(found["assignments"])}
            with tracing.span("compose preview", dict(scope["headers"]), attributes):
                shown = await self._shown(scope["state"]["asks"], scope["state"]["request_id"], found["assignments"])
            said = _said(said[0], {**found, **shown})
        for message in said:
            await send(message)

    async def _shown(
        self, principal: Principal, request_id: str, assignments: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._tokens.internal(principal)}", "X-Request-Id": request_id}
        propagate.inject(headers)
        answers = await asyncio.gather(*(self._ask(name, headers, assignments) for name in SERVICES))
        found = dict(zip(SERVICES, answers, strict=True))
        return {
            "services": {name: shown for name, (status, shown) in found.items() if status == 200},
            "withheld": [name for name, (status, _) in found.items() if status == 403],
            "unavailable": [name for name, (status, _) in found.items() if status not in (200, 403)],
        }

    async def _ask(
        self, name: str, headers: Mapping[str, str], assignments: Sequence[Mapping[str, Any]]
    ) -> tuple[int, Any]:
        """Status and body; 503 for no answer. A service that is busy is asked again while there is time."""
        base = self._services.get(name)
        if base is None:
            return 503, None
        code = None
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    async with self._session.post(
                        f"{base}/v1/previews/{name}", json={"assignments": assignments}, headers=headers,
                        allow_redirects=False,
                    ) as answer:  # fmt: skip
                        body: dict[str, Any] = await answer.json(content_type=None)
                    code = body.get("code")
                    if answer.status in (200, 403):
                        return answer.status, body
                    if code != "busy":
                        break
                    await asyncio.sleep(AGAIN_SECONDS)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError) as error:
            code = repr(error)
        log.warning("previews.unavailable", service=name, why=code)
        return 503, None


def _preview(said: Sequence[Message]) -> dict[str, Any] | None:
    """Identity's answer, if it is one."""
    if not said or said[0].get("status") != 200:
        return None
    found: dict[str, Any] = json.loads(b"".join(message.get("body", b"") for message in said))
    return found if found.get("preview") is True else None


def _said(start: Message, document: Mapping[str, Any]) -> list[Message]:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    headers = [*kept, (b"content-length", b"%d" % len(body))]
    return [{**start, "headers": headers}, {"type": "http.response.body", "body": body}]
