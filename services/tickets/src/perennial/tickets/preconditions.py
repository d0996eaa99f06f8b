"""What a request may bring along: If-Match, Idempotency-Key, a cursor."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from perennial.common.auth import Principal, authenticated
from perennial.common.db import WriteSession
from perennial.common.problems import BadRequest
from perennial.common.web import etags, idempotency
from perennial.common.web.idempotency import Once
from perennial.common.web.pages import PageRequest


async def _seen(if_match: Annotated[str | None, Header()] = None) -> int | None:
    return None if if_match is None else await etags._if_match(if_match)  # noqa: SLF001 (the same header, not required)


Seen = Annotated[int | None, Depends(_seen)]
"""The version that the client last saw, if it says so."""


async def _repeatable(
    request: Request,
    principal: Annotated[Principal, Depends(authenticated)],
    idempotency_key: Annotated[str | None, Header(description="A quoted or bare string, unique per action.")] = None,
) -> Once | None:
    if idempotency_key is None:
        return None
    return await idempotency._once(request, principal, idempotency_key)  # noqa: SLF001 (the same header, not required)


Repeatable = Annotated[Once | None, Depends(_repeatable)]
"""The Idempotency-Key, for verbs that a repetition would answer with a conflict anyway."""


async def run(
    once: Once | None, session: WriteSession, call: Callable[[], Awaitable[BaseModel]], status: int = 200
) -> Response:
    """The answer of `call`, or the stored one where the request bears a key that was used before."""
    if once is not None:
        return await once.run(session, call, status)
    body = (await call()).model_dump_json()
    return Response(body, status, media_type="application/json")


def last_key(page: PageRequest) -> str:
    """The key after which a page begins; empty for the first."""
    return str(page.after[0]).replace("\0", "") if page.after else ""


def last_id(page: PageRequest) -> UUID | None:
    """The id after which a page begins. Raises BadRequest."""
    try:
        return UUID(str(page.after[0])) if page.after else None
    except ValueError as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error


def last_number(page: PageRequest) -> int:
    """The number after which a page begins; 0 for the first. Raises BadRequest."""
    number = page.after[0] if page.after else 0
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor")
    return number
