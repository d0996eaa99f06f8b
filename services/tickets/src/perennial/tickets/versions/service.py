"""The verbs of what is defined in versions, calendars and ticket types: find, make, replace."""

from typing import TypeVar

from pydantic import BaseModel

from perennial.common import audit
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.problems import Conflict, NotFound
from perennial.common.web.etags import NEW, match
from perennial.tickets.versions import queries
from perennial.tickets.versions.models import Definition

D = TypeVar("D", bound=Definition)


async def find(session: ReadSession, kind: type[D], key: str) -> D:
    """The version in force. Raises NotFound."""
    found = await queries.newest(session, kind, key)
    if found is None:
        raise NotFound(f"{kind.noun}: there is none called {key}", pointer="path/key")
    return found


async def create(session: WriteSession, who: Principal, kind: type[D], key: str, definition: BaseModel) -> D:
    """The first version under a key. Raises Conflict."""
    await lock(session, "tickets", kind.noun, key)
    if await queries.newest(session, kind, key) is not None:
        raise Conflict(f"key: there is a {kind.noun} called {key}", code="key_taken", pointer="/key")
    return await _add(session, who, kind(key=key, version=1), definition)


async def replace(
    session: WriteSession, who: Principal, kind: type[D], key: str, expected: int | None, definition: BaseModel
) -> D:
    """The next version, or with NEW the first, for what begins from now on. Raises NotFound, PreconditionFailed."""
    await lock(session, "tickets", kind.noun, key)
    if expected == NEW and await queries.newest(session, kind, key) is None:
        return await _add(session, who, kind(key=key, version=1), definition)
    before = await find(session, kind, key)
    match(expected, before.version)
    return await _add(session, who, kind(key=key, version=before.version + 1), definition)


async def _add(session: WriteSession, who: Principal, row: D, definition: BaseModel) -> D:
    row.definition = definition.model_dump(mode="json", by_alias=True)
    session.add(row)
    await session.flush()
    await audit.record(session, who, f"{row.__tablename__}.written", row.key, {"version": row.version})
    return row
