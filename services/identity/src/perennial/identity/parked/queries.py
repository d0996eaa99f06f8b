"""Parked events in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

_ADD = text("""
    INSERT INTO parked (stream, subject, event_id, headers, body, error, trace, sealed)
    VALUES (:stream, :subject, :event_id, CAST(:headers AS jsonb), '', :error, '', :sealed)""")
_SHOWN = "SELECT id, subject, event_id, error, parked_at, replayed_at, body, sealed FROM parked"
_LIST = text(f"{_SHOWN} WHERE replayed_at IS NULL AND id > :after ORDER BY id LIMIT :limit")
_SOME = text(f"{_SHOWN} WHERE replayed_at IS NULL AND id = ANY(CAST(:ids AS bigint[])) ORDER BY id")


_BY_EVENT = text(
    f"{_SHOWN} WHERE replayed_at IS NULL AND event_id = ANY(CAST(:ids AS uuid[])) ORDER BY id DESC LIMIT 1"
)


class NewRow(NamedTuple):
    """A parked event as it is written."""

    stream: str
    subject: str
    event_id: UUID | None
    headers: str
    error: str
    sealed: bytes


class Row(NamedTuple):
    """A parked event as it is stored. Without `sealed`, body and error stand in the open."""

    id: int
    subject: str
    event_id: UUID | None
    error: str
    parked_at: datetime
    replayed_at: datetime | None
    body: bytes
    sealed: bytes | None


async def add(session: WriteSession, rows: Sequence[NewRow]) -> None:
    """Write parked events."""
    await session.execute(_ADD, [row._asdict() for row in rows])


async def waiting(session: ReadSession, ids: Sequence[UUID]) -> set[UUID]:
    """Those of the events that wait here already."""
    rows = await session.execute(
        text("SELECT event_id FROM parked WHERE event_id = ANY(CAST(:ids AS uuid[])) AND replayed_at IS NULL"),
        {"ids": list(ids)},
    )
    return set(rows.scalars())


async def listing(session: ReadSession, after: int, limit: int) -> list[Row]:
    """Parked events not yet replayed, oldest first."""
    return [Row(*row) for row in await session.execute(_LIST, {"after": after, "limit": limit})]


async def by_event(session: ReadSession, ids: Sequence[UUID]) -> Row | None:
    """The newest parked event that has one of these ids and was not replayed yet."""
    row = (await session.execute(_BY_EVENT, {"ids": list(ids)})).one_or_none()
    return Row(*row) if row else None


async def some(session: ReadSession, ids: Sequence[int]) -> list[Row]:
    """These parked events, as far as they were not replayed yet."""
    return [Row(*row) for row in await session.execute(_SOME, {"ids": list(ids)})]
