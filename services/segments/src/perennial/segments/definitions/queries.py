"""The SQL of segment definitions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_COLUMNS = "id, name, rule, state, version, error, created_at, updated_at, as_of"
_SIZED = f"""SELECT {_COLUMNS}, (SELECT count(*) FROM membership m WHERE m.segment_id = s.id) AS size
             FROM segment s"""  # noqa: S608 (a constant of ours)


async def insert(session: WriteSession, segment_id: UUID, name: str, rule: str) -> None:
    """A new segment, to be built."""
    await session.execute(
        text("""INSERT INTO segment (id, name, rule, state, version)
                VALUES (:id, :name, CAST(:rule AS jsonb), 'building', 1)"""),
        {"id": segment_id, "name": name, "rule": rule},
    )


async def one(session: ReadSession, segment_id: UUID) -> Row[Any] | None:
    """A segment with its size."""
    return (await session.execute(text(f"{_SIZED} WHERE id = :id"), {"id": segment_id})).one_or_none()


async def lock(session: WriteSession, segment_id: UUID) -> Row[Any] | None:
    """A segment, held until the transaction ends."""
    statement = text(f"SELECT {_COLUMNS} FROM segment WHERE id = :id FOR UPDATE")  # noqa: S608 (ours)
    return (await session.execute(statement, {"id": segment_id})).one_or_none()


async def page(session: ReadSession, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Segments that are not archived, the oldest first."""
    statement = f"""{_SIZED} WHERE state <> 'archived' AND (CAST(:after AS uuid) IS NULL OR id > :after)
                    ORDER BY id LIMIT :limit"""
    return (await session.execute(text(statement), {"after": after, "limit": limit})).all()


async def name_taken(session: ReadSession, name: str, but: UUID | None) -> bool:
    """Whether another segment bears the name."""
    rows = await session.execute(
        text("""SELECT true FROM segment WHERE name = :name AND state <> 'archived'
                AND (CAST(:but AS uuid) IS NULL OR id <> :but)"""),
        {"name": name, "but": but},
    )
    return rows.first() is not None


async def known(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, Any]:
    """The rules of the segments with these ids that are not archived."""
    rows = await session.execute(
        text("SELECT id, rule FROM segment WHERE id = ANY(:ids) AND state <> 'archived'"), {"ids": list(ids)}
    )
    return {row.id: row.rule for row in rows}


async def users_of(session: ReadSession, segment_id: UUID) -> list[str]:
    """The names of the segments whose rules mention this one."""
    rows = await session.execute(
        text("""SELECT name FROM segment WHERE state <> 'archived' AND id <> :id
                AND jsonb_path_exists(rule, '$.**.segment ? (@ == $id)', jsonb_build_object('id', CAST(:text AS text)))
                ORDER BY name"""),
        {"id": segment_id, "text": str(segment_id)},
    )
    return list(rows.scalars())


async def rewrite(session: WriteSession, segment_id: UUID, name: str, rule: str, *, rebuild: bool) -> None:
    """A new version of a segment."""
    await session.execute(
        text("""UPDATE segment SET name = :name, rule = CAST(:rule AS jsonb), version = version + 1, updated_at = now(),
                state = CASE WHEN :rebuild THEN 'building' ELSE state END, error = NULL WHERE id = :id"""),
        {"id": segment_id, "name": name, "rule": rule, "rebuild": rebuild},
    )


async def settle(session: WriteSession, segment_id: UUID, state: str, error: str | None, as_of: datetime) -> None:
    """The outcome of a build."""
    await session.execute(
        text("UPDATE segment SET state = :state, error = :error, as_of = :as_of WHERE id = :id"),
        {"id": segment_id, "state": state, "error": error, "as_of": as_of},
    )


async def archive(session: WriteSession, segment_id: UUID) -> None:
    """Keep the definition, out of the way."""
    await session.execute(
        text("UPDATE segment SET state = 'archived', version = version + 1, updated_at = now() WHERE id = :id"),
        {"id": segment_id},
    )


async def serving(session: ReadSession) -> Sequence[Row[Any]]:
    """The segments that are kept up to date: id, name, rule, version."""
    return (await session.execute(text("SELECT id, name, rule, version FROM segment WHERE state = 'live'"))).all()


async def next_to_build(session: WriteSession) -> Row[Any] | None:
    """A segment to build, that nobody else is building."""
    statement = text(
        f"""SELECT {_COLUMNS} FROM segment WHERE state = 'building' ORDER BY updated_at LIMIT 1
            FOR UPDATE SKIP LOCKED"""  # noqa: S608 (a constant of ours)
    )
    return (await session.execute(statement)).one_or_none()
