"""Rules on quality, and settings, in SQL."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7

_SELECT = """
    SELECT r.id, r.version, r.definition, r.archived, r.ready, r.filled, r.updated_at, r.updated_by,
           b.low, b.high, b.centre, b.spread, b.count, b.sampled, b.at AS measured_at, b.scale, b.unit
    FROM quality_rule AS r LEFT JOIN quality_baseline AS b ON b.rule = r.id"""
_ONE = text(f"{_SELECT} WHERE r.id = :id")
_PAGE = text(f"{_SELECT} WHERE NOT r.archived AND r.id > :after ORDER BY r.id LIMIT :limit")
_ALL = text(f"{_SELECT} WHERE NOT r.archived ORDER BY r.id")
_SAVE = text("""
    INSERT INTO quality_rule AS r (id, version, definition, archived, updated_by)
    VALUES (:id, :version, CAST(:definition AS jsonb), :archived, :by)
    ON CONFLICT (id) DO UPDATE SET version = excluded.version, definition = excluded.definition,
        archived = excluded.archived, updated_by = excluded.updated_by, updated_at = now(),
        ready = r.ready AND r.definition ->> 'key' = excluded.definition ->> 'key',
        filled = CASE WHEN r.definition ->> 'key' = excluded.definition ->> 'key' THEN r.filled END""")
_HISTORY = text("""
    INSERT INTO quality_rule_version (id, version, definition, archived, by)
    VALUES (:id, :version, CAST(:definition AS jsonb), :archived, :by)""")
_VERSIONS = text("""
    SELECT version, definition, archived, at, by FROM quality_rule_version
    WHERE id = :id AND version < :before ORDER BY version DESC LIMIT :limit""")
_TURN = text("""
    INSERT INTO quality_setting AS s (id, version, settings, revision) VALUES (1, 0, '{}', :revision)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision""")
_SET = text("""
    INSERT INTO quality_setting AS s (id, version, settings, revision)
    VALUES (1, 1, CAST(:settings AS jsonb), :revision)
    ON CONFLICT (id) DO UPDATE SET version = s.version + 1, settings = excluded.settings""")
_SETTINGS = "SELECT version, settings FROM quality_setting WHERE id = 1"


async def revision(session: ReadSession) -> str:
    """Differs after every change of a rule or a baseline; empty before the first."""
    found = (await session.execute(text("SELECT revision FROM quality_setting WHERE id = 1"))).scalar_one_or_none()
    return str(found or "")


async def turn(session: WriteSession) -> None:
    """Have every batch from now on read the rules again."""
    await session.execute(_TURN, {"revision": uuid7()})


async def one(session: ReadSession, rule: UUID) -> dict[str, Any] | None:
    """A rule with its baseline, archived ones too."""
    row = (await session.execute(_ONE, {"id": rule})).mappings().one_or_none()
    return dict(row) if row else None


async def page(session: ReadSession, after: UUID, limit: int) -> list[dict[str, Any]]:
    """Rules in force behind an id."""
    return [dict(row) for row in (await session.execute(_PAGE, {"after": after, "limit": limit})).mappings()]


async def every(session: ReadSession) -> list[dict[str, Any]]:
    """All rules in force."""
    return [dict(row) for row in (await session.execute(_ALL)).mappings()]


async def number(session: ReadSession) -> int:
    """How many rules are in force."""
    found = await session.execute(text("SELECT count(*) FROM quality_rule WHERE NOT archived"))
    return int(found.scalar_one())


async def save(
    session: WriteSession, rule: UUID, definition: Mapping[str, Any], version: int, by: str, *, archived: bool = False
) -> None:
    """Write a version of a rule; a baseline of another trait or method is forgotten."""
    values = {"id": rule, "version": version, "definition": json.dumps(definition), "archived": archived, "by": by}
    await session.execute(_SAVE, values)
    await session.execute(_HISTORY, values)
    await session.execute(text("DELETE FROM quality_baseline WHERE rule = :rule"), {"rule": rule})
    await turn(session)


async def forget(session: WriteSession, rule: UUID) -> None:
    """Remove on which side of its limits the measures of a rule are."""
    await session.execute(text("DELETE FROM quality_crossing WHERE rule = :rule"), {"rule": rule})


async def forget_values(session: WriteSession, key: str) -> None:
    """Remove the index of a trait's values unless a rule on duplicates is left."""
    statement = text("""
        DELETE FROM quality_value WHERE key = :key AND NOT EXISTS (
            SELECT FROM quality_rule WHERE NOT archived AND definition ->> 'kind' = 'duplicate'
                AND definition ->> 'key' = :key)""")
    await session.execute(statement, {"key": key})


async def versions(session: ReadSession, rule: UUID, before: int, limit: int) -> list[dict[str, Any]]:
    """Versions of a rule, newest first."""
    return [
        dict(row)
        for row in (await session.execute(_VERSIONS, {"id": rule, "before": before, "limit": limit})).mappings()
    ]


async def settings(session: ReadSession, *, lock: bool = False) -> tuple[int, Mapping[str, Any]]:
    """The version and the body of the settings; (0, empty) where nobody has set any."""
    row = (await session.execute(text(f"{_SETTINGS} {'FOR UPDATE' if lock else ''}"))).one_or_none()
    return (row.version, row.settings) if row else (0, {})


async def set_settings(session: WriteSession, body: Mapping[str, Any]) -> None:
    """Write the settings."""
    await session.execute(_SET, {"settings": json.dumps(body), "revision": uuid7()})
