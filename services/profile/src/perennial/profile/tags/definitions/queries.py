"""The SQL of tag definitions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_SERVING = text("""
    SELECT key, kind, version, basis::text AS basis, cut::text AS cut
    FROM tag_definition WHERE active ORDER BY key""")
_PAGE = text("""
    SELECT * FROM tag_definition
    WHERE key > :after AND active = :active
      AND (CAST(:dimension AS text) IS NULL OR dimension = :dimension) AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY key LIMIT :limit""")
_INSERT = text("""
    INSERT INTO tag_definition (key, label, about, dimension, kind, owner, lasts, basis, weights, origin, digest)
    SELECT key, label, about, dimension, kind, owner, lasts, basis, coalesce(weights, '{}'), origin, digest
    FROM jsonb_to_recordset(CAST(:documents AS jsonb)) AS d (key text, label jsonb, about jsonb, dimension text,
        kind text, owner text, lasts bigint, basis jsonb, weights jsonb, origin text, digest text)
    ON CONFLICT (key) DO UPDATE SET label = excluded.label, about = excluded.about, dimension = excluded.dimension,
        kind = excluded.kind, basis = excluded.basis, weights = excluded.weights, digest = excluded.digest,
        version = tag_definition.version + 1, updated_at = now()
    WHERE tag_definition.origin = 'preset' AND excluded.origin = 'preset' AND NOT tag_definition.edited
      AND tag_definition.digest IS DISTINCT FROM excluded.digest
    RETURNING key, version""")
_UPDATE = text("""
    UPDATE tag_definition SET label = n.label, about = n.about, dimension = n.dimension, owner = n.owner,
        lasts = n.lasts, basis = n.basis, weights = n.weights, active = n.active, edited = true,
        cut = CASE WHEN tag_definition.basis = n.basis THEN cut END, version = version + 1, updated_at = now()
    FROM jsonb_to_record(CAST(:document AS jsonb)) AS n (label jsonb, about jsonb, dimension text, owner text,
        lasts bigint, basis jsonb, weights jsonb, active boolean)
    WHERE key = :key RETURNING tag_definition.*""")
_NOTE = text("""
    INSERT INTO tag_definition_version (key, version, document, by)
    SELECT key, version, to_jsonb(t) - '{key,version,digest,cut,created_at,updated_at}'::text[], :by
    FROM tag_definition AS t WHERE key = ANY(:keys) ON CONFLICT DO NOTHING""")
_ACTIVE = text("SELECT key, label, dimension, kind FROM tag_definition WHERE active ORDER BY key")


async def serving(session: ReadSession) -> Sequence[Row[Any]]:
    """The active definitions as `compiled.serving` takes them."""
    return (await session.execute(_SERVING)).all()


async def page(
    session: ReadSession, after: str, limit: int, *, active: bool, dimension: str | None, kind: str | None
) -> Sequence[Row[Any]]:
    """Definitions in the order of their keys."""
    values = {"after": after, "limit": limit, "active": active, "dimension": dimension, "kind": kind}
    return (await session.execute(_PAGE, values)).all()


async def one(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any] | None:
    """A definition, archived or not."""
    held = "FOR UPDATE" if lock else ""
    return (
        await session.execute(text(f"SELECT * FROM tag_definition WHERE key = :key {held}"), {"key": key})  # noqa: S608
    ).one_or_none()


async def put(session: WriteSession, documents: Sequence[Mapping[str, Any]], by: str) -> list[str]:
    """Write new definitions, and presets that were never edited; returns the keys of those that changed."""
    rows = (await session.execute(_INSERT, {"documents": json.dumps(list(documents))})).all()
    keys = [row.key for row in rows]
    await session.execute(_NOTE, {"keys": keys, "by": by})
    return keys


async def change(session: WriteSession, key: str, document: Mapping[str, Any], by: str) -> Row[Any]:
    """Write a new version."""
    row = (await session.execute(_UPDATE, {"key": key, "document": json.dumps(document)})).one()
    await session.execute(_NOTE, {"keys": [key], "by": by})
    return row


async def versions(session: ReadSession, key: str, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """The versions of a definition, the newest first."""
    return (
        await session.execute(
            text("""SELECT version, by, at, document FROM tag_definition_version
                    WHERE key = :key AND (CAST(:before AS bigint) IS NULL OR version < :before)
                    ORDER BY version DESC LIMIT :limit"""),
            {"key": key, "before": before, "limit": limit},
        )
    ).all()


async def active(session: ReadSession) -> Sequence[Row[Any]]:
    """(key, label, dimension, kind) of the active tags."""
    return (await session.execute(_ACTIVE)).all()


async def known(session: ReadSession, keys: Sequence[str]) -> dict[str, Row[Any]]:
    """Active definitions by key."""
    rows = await session.execute(
        text("SELECT * FROM tag_definition WHERE active AND key = ANY(:keys)"), {"keys": list(keys)}
    )
    return {row.key: row for row in rows}
