"""Ask profile which people are customers already, as who started the import."""

from collections.abc import Sequence
from typing import cast

import aiohttp
import structlog

from perennial.common.operations import Step
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.settings import GatewaySettings

log = structlog.get_logger()

SECONDS = 10.0
MOST, LONGEST = 20, 400  # as profile takes them


async def known(step: Step, people: Sequence[Sequence[str]]) -> list[bool] | None:
    """Whether each is, by any of their identifiers; None without an answer."""
    settings = cast("GatewaySettings", step.runtime.settings)
    base = settings.services.get("profile")
    if base is None:
        return None
    asked = [[said for said in person if len(said) <= LONGEST][:MOST] for person in people]
    token = Tokens(settings.internal_private_key.get_secret_value()).internal(step.principal)
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{base.rstrip('/')}/v1/customers/known"
    wait = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=wait) as session,
            session.post(url, json={"people": asked}, headers=headers, allow_redirects=False) as answer,
        ):
            answer.raise_for_status()
            found: list[bool] = (await answer.json())["known"]
            return found
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
        log.warning("import.unknown", error=repr(error))
        return None
