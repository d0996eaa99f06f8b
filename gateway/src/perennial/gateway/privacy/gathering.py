"""Asks each service, as the gateway itself, for what it holds about a person."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from perennial.common.auth import Principal
from perennial.common.privacy.api import SCOPE
from perennial.common.problems import NotFound, Problem
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.settings import GatewaySettings

SECONDS = 20.0
OURSELVES = Principal("service", "gateway", frozenset({SCOPE}))


@asynccontextmanager
async def asking(settings: GatewaySettings) -> AsyncIterator["Asking"]:
    """A connection to the services for one step."""
    tokens = Tokens(settings.internal_private_key.get_secret_value())
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=timeout) as session:
        yield Asking(session, settings.services, {"Authorization": f"Bearer {tokens.internal(OURSELVES)}"})


class Asking:
    """Asks; what cannot be had now is asked for again later, since an export with a hole would be none."""

    def __init__(self, session: aiohttp.ClientSession, services: Mapping[str, str], headers: Mapping[str, str]) -> None:
        self._session = session
        self._services = services
        self._headers = headers

    async def ask(self, service: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of one service. Raises ConnectionError when there is none, NotFound and Problem as it says."""
        url = self._services.get(service, "").rstrip("/")
        if not url:
            raise Problem(f"the gateway does not know the service {service}", code="no_service")
        try:
            async with self._session.post(
                f"{url}{path}", json=body, headers=self._headers, allow_redirects=False
            ) as answer:  # fmt: skip
                if answer.status == 404:
                    raise NotFound("there is no such customer", code="unknown_customer")
                if answer.status >= 500:
                    raise ConnectionError(f"{service} answered {answer.status}")
                if answer.status != 200:
                    raise Problem(f"{service} answered {answer.status}", code="refused")
                found: dict[str, Any] = await answer.json(content_type=None)
                return found
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ConnectionError(f"{service} cannot be asked: {type(error).__name__}") from error
