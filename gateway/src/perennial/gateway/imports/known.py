"""Ask profile, as who started the import: which people are customers already, and what a file may bring."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import aiohttp
import structlog

from perennial.common.auth import Principal
from perennial.common.operations import Step
from perennial.common.problems import Unavailable, Unprocessable
from perennial.gateway.imports.mapping import Column
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.settings import GatewaySettings

log = structlog.get_logger()

SECONDS = 10.0
MOST, LONGEST = 20, 400  # as profile takes them
_OF_CONSENT = ("purpose", "channel", "separate", "text_locale", "text_version")


async def known(step: Step, people: Sequence[Sequence[str]]) -> list[bool] | None:
    """Whether each is, by any of their identifiers; None without an answer."""
    settings = cast("GatewaySettings", step.runtime.settings)
    asked = [[said for said in person if len(said) <= LONGEST][:MOST] for person in people]
    answer = await _ask(settings, step.principal, "/v1/customers/known", {"people": asked})
    return None if answer is None else list(answer["known"])


async def givable(settings: GatewaySettings, by: Principal, columns: Sequence[Column]) -> list[str]:
    """The tags that a file may give. Raises Unprocessable for a column that tells what profile does not take.

    Without an answer Unavailable: what is not taken would be passed over without a word.
    """
    places = {number: column for number, column in enumerate(columns) if column.to == "consent"}
    if not places and not any(column.to in {"tag", "tags"} for column in columns):
        return []
    wanted = [{name: getattr(column, name) for name in _OF_CONSENT} for column in places.values()]
    answer = await _ask(settings, by, "/v1/customers/importable", {"consents": wanted})
    if answer is None:
        raise Unavailable("profile cannot be asked which tags and consents there are", code="profile_unavailable")
    for unfit in answer["unfit"]:
        number = list(places)[unfit["index"]]
        raise _refused(number, unfit["detail"], unfit["code"])
    tags = set(answer["tags"])
    for number, column in enumerate(columns):
        if column.to == "tag" and column.key not in tags:
            raise _refused(number, f"{column.key} is no tag that a file may give", "unknown_tag")
    return sorted(tags)


def _refused(number: int, why: str, code: str) -> Unprocessable:
    where = f"/mapping/columns/{number}"
    return Unprocessable(f"{where.strip('/')}: {why}", code=code, pointer=where)


async def _ask(
    settings: GatewaySettings, by: Principal, path: str, body: Mapping[str, Any]
) -> dict[str, Any] | None:  # fmt: skip
    base = settings.services.get("profile")
    if base is None:
        return None
    token = Tokens(settings.internal_private_key.get_secret_value()).internal(by)
    headers = {"Authorization": f"Bearer {token}"}
    wait = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, timeout=wait) as session,
            session.post(f"{base.rstrip('/')}{path}", json=body, headers=headers, allow_redirects=False) as answer,
        ):
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.warning("import.unknown", path=path, error=repr(error))
        return None
