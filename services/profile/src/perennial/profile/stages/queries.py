"""The SQL of the life cycle."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock as hold

_ACTIVE = text("""
    SELECT l.key, l.version, l.stages::text AS stages FROM lifecycle JOIN ladder AS l ON l.key = lifecycle.ladder
    WHERE id = 1""")
_PUT = text("""
    INSERT INTO ladder AS l (key, label, stages, origin, digest, edited)
    SELECT key, label, stages, origin, digest, edited
    FROM jsonb_to_recordset(CAST(:documents AS jsonb)) AS d (key text, label jsonb, stages jsonb, origin text,
        digest text, edited boolean)
    ON CONFLICT (key) DO UPDATE SET label = excluded.label, stages = excluded.stages, digest = excluded.digest,
        edited = excluded.edited, version = l.version + 1, updated_at = now()
    WHERE excluded.edited OR NOT l.edited AND l.origin = 'preset' AND l.digest IS DISTINCT FROM excluded.digest
    RETURNING l.key""")
_SET = text("""
    INSERT INTO stage_assignment AS s (via, ladder, stage, at, by, why, expires_at)
    VALUES (:via, :ladder, :stage, :at, :by, :why, :expires_at)
    ON CONFLICT (via) DO UPDATE SET ladder = excluded.ladder, stage = excluded.stage, at = excluded.at,
        by = excluded.by, why = excluded.why, expires_at = excluded.expires_at
    WHERE s.at <= excluded.at""")
_SAID = text("""
    SELECT DISTINCT ON (m.customer_id) m.customer_id, s.ladder, s.stage, s.at, s.by, s.expires_at
    FROM identity_map AS m JOIN stage_assignment AS s USING (via)
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[]))
    ORDER BY m.customer_id, s.at DESC, s.via DESC""")
_BEFORE = text("SELECT * FROM customer_stage WHERE customer_id = ANY(CAST(:ids AS uuid[]))")
_REACHED = text("""
    SELECT DISTINCT customer_id, after FROM stage_change
    WHERE customer_id = ANY(CAST(:ids AS uuid[])) AND ladder = :ladder AND after IS NOT NULL""")
_LATEST = text("""
    SELECT DISTINCT ON (customer_id) customer_id, ladder, after, at FROM stage_change
    WHERE customer_id = ANY(CAST(:ids AS uuid[])) ORDER BY customer_id, id DESC""")
_WRITE = text("""
    INSERT INTO customer_stage (customer_id, ladder, stage, since, by, version)
    SELECT customer_id, ladder, stage, since, by, version
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS d (customer_id uuid, ladder text, stage text, since timestamptz,
        by text, version bigint)
    ON CONFLICT (customer_id) DO UPDATE SET ladder = excluded.ladder, stage = excluded.stage, since = excluded.since,
        by = excluded.by, version = excluded.version""")
_NOTE = text("""
    INSERT INTO stage_change (id, customer_id, ladder, before, after, by, at)
    SELECT nextval('stage_version'), customer_id, ladder, before, after, by, at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS d (customer_id uuid, ladder text, before text, after text, by text,
        at timestamptz)""")
_HISTORY = text("""
    SELECT c.* FROM stage_change AS c
    WHERE c.customer_id IN (SELECT via FROM identity_map WHERE customer_id = :customer)
      AND (CAST(:before AS bigint) IS NULL OR c.id < :before)
    ORDER BY c.id DESC LIMIT :limit""")


async def active(session: ReadSession) -> Row[Any] | None:
    """The ladder in use; its stages as a text."""
    return (await session.execute(_ACTIVE)).one_or_none()


async def lifecycle(session: ReadSession, *, lock: bool = False) -> Row[Any] | None:
    """Which ladder is in use, with the version of that choice."""
    held = "FOR UPDATE" if lock else ""
    return (await session.execute(text(f"SELECT ladder, version FROM lifecycle WHERE id = 1 {held}"))).one_or_none()  # noqa: S608 (ours)


async def begin(session: WriteSession, key: str) -> None:
    """The ladder in use where nobody has chosen one."""
    await session.execute(
        text("INSERT INTO lifecycle (id, ladder) VALUES (1, :key) ON CONFLICT DO NOTHING"), {"key": key}
    )


async def choose(session: WriteSession, key: str) -> None:
    """Another ladder in use."""
    await session.execute(
        text("UPDATE lifecycle SET ladder = :key, version = version + 1, updated_at = now() WHERE id = 1"), {"key": key}
    )


async def ladders(session: ReadSession) -> Sequence[Row[Any]]:
    """Every ladder."""
    return (await session.execute(text("SELECT * FROM ladder ORDER BY key"))).all()


async def ladder(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any] | None:
    """One ladder; who locks it also keeps others from making it."""
    if lock:
        await hold(session, "profile", "ladder", key)
    held = "FOR UPDATE" if lock else ""
    return (await session.execute(text(f"SELECT * FROM ladder WHERE key = :key {held}"), {"key": key})).one_or_none()  # noqa: S608 (ours)


async def put(session: WriteSession, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write ladders: an `edited` one in any case, a preset where nobody made it their own. Returns what changed."""
    return list((await session.execute(_PUT, {"documents": json.dumps(list(documents))})).scalars())


async def set_stage(session: WriteSession, said: Mapping[str, Any]) -> None:
    """Note what staff say of a customer, under an identifier; the newest of a customer's counts."""
    await session.execute(_SET, dict(said))


async def said(session: ReadSession, customers: Sequence[UUID]) -> dict[UUID, Row[Any]]:
    """What staff said last of each customer."""
    return {row.customer_id: row for row in await session.execute(_SAID, {"customers": list(customers)})}


async def before(session: ReadSession, ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    """The rows as they stand."""
    return (await session.execute(_BEFORE, {"ids": list(ids)})).all()


async def reached(session: ReadSession, ids: Iterable[UUID], ladder: str) -> Sequence[Row[Any]]:
    """The stages of a ladder that ids were ever on."""
    return (await session.execute(_REACHED, {"ids": list(ids), "ladder": ladder})).all()


async def latest(session: ReadSession, ids: Iterable[UUID]) -> dict[UUID, Row[Any]]:
    """The last step in the history of each id."""
    return {row.customer_id: row for row in await session.execute(_LATEST, {"ids": list(ids)})}


async def remove(session: WriteSession, ids: Iterable[UUID]) -> None:
    """Delete rows."""
    await session.execute(text("DELETE FROM customer_stage WHERE customer_id = ANY(:ids)"), {"ids": list(ids)})


async def write(session: WriteSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, new ones or others."""
    if rows:
        await session.execute(_WRITE, {"rows": json.dumps(list(rows), default=str)})


async def note(session: WriteSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add steps to the history."""
    if rows:
        await session.execute(_NOTE, {"rows": json.dumps(list(rows), default=str)})


async def versions(session: WriteSession, number: int) -> list[int]:
    """New numbers, for customers whose stage changed."""
    statement = text("SELECT nextval('stage_version') FROM generate_series(1, :n)")
    return list((await session.execute(statement, {"n": number})).scalars())


async def history(session: ReadSession, customer: UUID, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """The steps of all ids of a customer, the newest first."""
    values = {"customer": customer, "before": before, "limit": limit}
    return (await session.execute(_HISTORY, values)).all()


async def current(session: ReadSession, customer: UUID) -> tuple[str, datetime] | None:
    """Where a customer stands, and since when."""
    statement = text("SELECT stage, since FROM customer_stage WHERE customer_id = :customer")
    row = (await session.execute(statement, {"customer": customer})).one_or_none()
    return None if row is None else (row.stage, row.since)
