"""The SQL of segment definitions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_COLUMNS = """s.id, s.name, s.kind, s.rule, s.state, s.version, s.serving_rule, s.serving_version, s.operation_id,
    s.error, s.created_at, s.updated_at, s.as_of AS built_at"""
# What was heard before it is in every membership; a mark lies ahead by the seconds that an import settles. Whom a timer
# waits for is asked for its moment until it fires.
FRESH = """(SELECT least(now(), min(at) - interval '3 seconds',
                         (SELECT min(due_at) FROM timer WHERE kind = 'flip')) FROM stale)"""
_SIZED = f"""SELECT {_COLUMNS}, (SELECT count(*) FROM membership m WHERE m.segment_id = s.id) AS size,
                    CASE WHEN s.serving_version IS NOT NULL THEN {FRESH} END AS as_of, o.done, o.total,
                    (SELECT complete_since FROM event_keeping) AS complete_since
             FROM segment AS s LEFT JOIN operation AS o ON o.id = s.operation_id AND s.state = 'building'"""  # noqa: S608 (ours)
SERVING = """s.state <> 'archived' AND (s.serving_version IS NOT NULL OR s.state = 'live')"""
_INSERT = text("""
    INSERT INTO segment (id, name, kind, rule, state, version, operation_id, serving_version, as_of)
    VALUES (:id, :name, :kind, CAST(:rule AS jsonb), :state, 1, :operation,
            CASE WHEN :kind = 'list' THEN 1 END, CASE WHEN :kind = 'list' THEN now() END)""")
_NOTE = text("""
    INSERT INTO segment_version (segment_id, version, name, rule, by, restored)
    SELECT id, version, name, rule, :by, :restored FROM segment WHERE id = :id""")
_REWRITE = text("""
    UPDATE segment SET name = :name, version = version + 1, updated_at = now(), state = :state, error = NULL,
        serving_version = CASE WHEN :same AND serving_version = version THEN version + 1 ELSE serving_version END,
        rule = CAST(:rule AS jsonb), operation_id = :operation
    WHERE id = :id""")
_USERS = text("""
    SELECT id, name, state FROM segment WHERE state <> 'archived' AND id <> :id AND EXISTS (
        SELECT FROM (VALUES (rule), (serving_rule)) AS known (said)
        WHERE jsonb_path_exists(said, '$.**.segment ? (@ == $id)', jsonb_build_object('id', CAST(:text AS text))))
    ORDER BY name""")


async def insert(
    session: WriteSession, segment_id: UUID, name: str, kind: str, rule: str | None, state: str, operation: UUID | None
) -> None:
    """A new segment."""
    values = {"id": segment_id, "name": name, "kind": kind, "rule": rule, "state": state, "operation": operation}
    await session.execute(_INSERT, values)


async def note(session: WriteSession, segment_id: UUID, by: str, restored: int | None = None) -> None:
    """Keep the newest version among the others."""
    await session.execute(_NOTE, {"id": segment_id, "by": by, "restored": restored})


async def one(session: ReadSession, segment_id: UUID) -> Row[Any] | None:
    """A segment with its size."""
    return (await session.execute(text(f"{_SIZED} WHERE s.id = :id"), {"id": segment_id})).one_or_none()


async def lock(session: WriteSession, segment_id: UUID) -> Row[Any] | None:
    """A segment, held until the transaction ends."""
    statement = text(f"SELECT {_COLUMNS} FROM segment AS s WHERE id = :id FOR UPDATE")  # noqa: S608 (ours)
    return (await session.execute(statement, {"id": segment_id})).one_or_none()


async def page(session: ReadSession, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Segments that are not archived, the oldest first."""
    statement = f"""{_SIZED} WHERE s.state <> 'archived' AND (CAST(:after AS uuid) IS NULL OR s.id > :after)
                    ORDER BY s.id LIMIT :limit"""
    return (await session.execute(text(statement), {"after": after, "limit": limit})).all()


async def name_taken(session: ReadSession, name: str, but: UUID | None) -> bool:
    """Whether another segment bears the name."""
    rows = await session.execute(
        text("""SELECT true FROM segment WHERE name = :name AND state <> 'archived'
                AND (CAST(:but AS uuid) IS NULL OR id <> :but)"""),
        {"name": name, "but": but},
    )
    return rows.first() is not None


async def known(session: ReadSession, ids: Sequence[UUID]) -> dict[UUID, list[Any]]:
    """The rules of the segments with these ids that are not archived: the newest and the one that serves."""
    rows = await session.execute(
        text("SELECT id, rule, serving_rule FROM segment WHERE id = ANY(:ids) AND state <> 'archived'"),
        {"ids": list(ids)},
    )
    return {row.id: [rule for rule in (row.rule, row.serving_rule) if rule is not None] for row in rows}


async def users_of(session: ReadSession, segment_id: UUID) -> Sequence[Row[Any]]:
    """The segments whose rules mention this one: id, name, state."""
    return (await session.execute(_USERS, {"id": segment_id, "text": str(segment_id)})).all()


async def named(session: ReadSession, ids: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The segments with these ids: id, name, state."""
    rows = await session.execute(
        text("SELECT id, name, state FROM segment WHERE id = ANY(:ids) ORDER BY name, id"), {"ids": list(ids)}
    )
    return rows.all()


async def rewrite(
    session: WriteSession, segment_id: UUID, name: str, rule: str | None, state: str, operation: UUID | None, *,
    same: bool,
) -> None:  # fmt: skip
    """A new version of a segment; `same`: its rule is the one before."""
    values = {"id": segment_id, "name": name, "rule": rule, "state": state, "operation": operation, "same": same}
    await session.execute(_REWRITE, values)


async def build(session: WriteSession, segment_id: UUID, operation: UUID) -> None:
    """Have the newest version built by an operation."""
    await session.execute(
        text("""UPDATE segment SET state = 'building', error = NULL, operation_id = :operation, updated_at = now()
                WHERE id = :id"""),
        {"id": segment_id, "operation": operation},
    )


async def serve(session: WriteSession, segment_id: UUID, as_of: datetime) -> None:
    """The newest version serves from now on."""
    await session.execute(
        text("""UPDATE segment SET state = 'live', error = NULL, serving_rule = rule, serving_version = version,
                as_of = :as_of WHERE id = :id"""),
        {"id": segment_id, "as_of": as_of},
    )


async def suspend(session: WriteSession, segment_id: UUID, error: str) -> None:
    """Neither version serves any more; the members stay as they are."""
    await session.execute(
        text("""UPDATE segment SET state = 'failed', error = :error, serving_rule = NULL, serving_version = NULL
                WHERE id = :id AND kind = 'rule'"""),
        {"id": segment_id, "error": error},
    )


async def building(session: WriteSession, segment_id: UUID, operation: UUID, *, held: bool) -> Row[Any] | None:
    """A segment whose newest version this operation builds, perhaps `held` until the transaction ends."""
    statement = f"""SELECT {_COLUMNS} FROM segment AS s WHERE id = :id AND state = 'building'
                    AND operation_id = :operation {"FOR UPDATE" if held else ""}"""  # noqa: S608 (ours)
    return (await session.execute(text(statement), {"id": segment_id, "operation": operation})).one_or_none()


async def name_of(session: ReadSession, segment_id: UUID) -> str:
    """What a segment is called."""
    return str(
        (await session.execute(text("SELECT name FROM segment WHERE id = :id"), {"id": segment_id})).scalar_one()
    )


async def serving_rule(session: ReadSession, segment_id: UUID) -> Any:
    """The rule by which members are kept up to date; None: nothing serves."""
    statement = text("SELECT serving_rule FROM segment WHERE id = :id")
    return (await session.execute(statement, {"id": segment_id})).scalar_one_or_none()


async def fail(session: WriteSession, segment_id: UUID, error: str) -> None:
    """The newest version could not be built; the one before goes on."""
    await session.execute(
        text("UPDATE segment SET state = 'failed', error = :error WHERE id = :id"), {"id": segment_id, "error": error}
    )


async def archive(session: WriteSession, segment_id: UUID) -> None:
    """Keep the definition, out of the way."""
    await session.execute(
        text("""UPDATE segment SET state = 'archived', version = version + 1, updated_at = now(),
                serving_rule = NULL, serving_version = NULL, operation_id = NULL WHERE id = :id"""),
        {"id": segment_id},
    )


async def serving(session: ReadSession) -> Sequence[Row[Any]]:
    """The segments that are kept up to date: id, name, kind, rule and version of what serves."""
    statement = f"""SELECT s.id, s.name, s.kind, coalesce(s.serving_rule, s.rule) AS rule,
                           coalesce(s.serving_version, s.version) AS version
                    FROM segment AS s WHERE {SERVING} ORDER BY s.id"""  # noqa: S608 (ours)
    return (await session.execute(text(statement))).all()


async def unattended(session: WriteSession) -> Sequence[Row[Any]]:
    """Segments to build whose operation is over, or that never had one: id, version, the operation's state.

    A version before this one, running beside it, changes rules and says that they serve, and starts no operation.
    """
    rows = await session.execute(
        text("""SELECT s.id, s.version, s.operation_id, o.state AS ended
                FROM segment AS s LEFT JOIN operation AS o ON o.id = s.operation_id
                WHERE s.state = 'building' AND (o.id IS NULL OR o.state NOT IN ('queued', 'running'))
                   OR s.state = 'live' AND s.serving_version IS DISTINCT FROM s.version
                ORDER BY s.id FOR UPDATE OF s SKIP LOCKED""")
    )
    return rows.all()


async def versions(session: ReadSession, segment_id: UUID, before: int, limit: int) -> Sequence[Row[Any]]:
    """Versions of a segment, the newest first."""
    rows = await session.execute(
        text("""SELECT version, name, rule, by, at, restored FROM segment_version
                WHERE segment_id = :id AND version < :before ORDER BY version DESC LIMIT :limit"""),
        {"id": segment_id, "before": before, "limit": limit},
    )
    return rows.all()
