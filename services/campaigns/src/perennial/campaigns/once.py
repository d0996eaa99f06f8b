"""Idempotency-Key where it may be given but need not be."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from perennial.common.auth import Authenticated
from perennial.common.db import WriteSession
from perennial.common.web import idempotency
from perennial.common.web.idempotency import Once


async def _keyed(
    request: Request,
    principal: Authenticated,
    idempotency_key: Annotated[str | None, Header(description="A quoted or bare string, unique per action.")] = None,
) -> Once | None:
    if idempotency_key is None:
        return None
    return await idempotency._once(request, principal, idempotency_key)  # noqa: SLF001 (common offers only the strict form)


Keyed = Annotated[Once | None, Depends(_keyed)]


async def once(
    session: WriteSession, key: Once | None, call: Callable[[], Awaitable[BaseModel]], status: int
) -> Response:
    """Do the work: at most once where a key was given."""
    if key is not None:
        return await key.run(session, call, status)
    return Response((await call()).model_dump_json(), status, media_type="application/json")
