"""Definitions and what was seen, in SQL."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import uuid7

_COLUMNS = "t.key, t.version, t.definition, t.archived, t.updated_at, t.updated_by, coalesce(s.done, true) AS applied"
_FROM = "trait_definition AS t LEFT JOIN trait_sweep AS s ON s.key = t.key"
_ONE = text(f"SELECT {_COLUMNS} FROM {_FROM} WHERE t.key = :key")  # noqa: S608 (ours)
_ALL = text(f"SELECT {_COLUMNS} FROM {_FROM} ORDER BY t.key")  # noqa: S608
_COMPUTED = text("SELECT EXISTS (SELECT FROM computed_trait WHERE key = :key AND state <> 'archived')")
_SAVE = text("""
    INSERT INTO trait_definition AS t
        (key, version, revision, definition, strategy, type, sources, archived, updated_by)
    VALUES (:key, :version, :revision, CAST(:definition AS jsonb), :strategy, :type, CAST(:sources AS text[]),
            :archived, :by)
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, revision = excluded.revision,
        definition = excluded.definition, strategy = excluded.strategy, type = excluded.type,
        sources = excluded.sources, archived = excluded.archived, updated_by = excluded.updated_by,
        updated_at = now()""")
_HISTORY = text("""
    INSERT INTO trait_definition_version (key, version, definition, archived, by)
    VALUES (:key, :version, CAST(:definition AS jsonb), :archived, :by)""")
_SWEEP = text("""
    INSERT INTO trait_sweep AS s (key, version, after, done)
    VALUES (:key, :version, '00000000-0000-0000-0000-000000000000', false)
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, after = excluded.after, done = false""")
_VERSIONS = text("""
    SELECT version, definition, archived, at, by FROM trait_definition_version
    WHERE key = :key AND version < :before ORDER BY version DESC LIMIT :limit""")
_GUESSES = """
    SELECT y.key, array_agg(DISTINCT y.source ORDER BY y.source) AS sources, sum(y.count) AS count,
           min(y.first_at) AS first_at, max(y.last_at) AS last_at,
           coalesce((array_agg(y.type ORDER BY y.count DESC, y.type) FILTER (WHERE y.type <> ''))[1], 'string') AS type
    FROM (SELECT key, source, type, sum(count) AS count, min(first_at) AS first_at, max(last_at) AS last_at
          FROM trait_tally WHERE {0} GROUP BY key, source, type) AS y
    GROUP BY y.key ORDER BY y.key"""
_PROPOSED = text(_GUESSES.format("key > :after AND key <> ALL(CAST(:known AS text[]))") + " LIMIT :limit")
_SEEN = text(_GUESSES.format("key = :key"))
_REFUSED = text("""
    SELECT key, source, outcome AS reason, sum(count) AS count, min(first_at) AS first_at, max(last_at) AS last_at,
           (array_agg(DISTINCT e.example) FILTER (WHERE e.example IS NOT NULL))[1:5] AS examples
    FROM trait_tally LEFT JOIN LATERAL unnest(examples) AS e (example) ON true
    WHERE outcome NOT IN ('ok', 'cleared') AND (key, source, outcome) > (:key, :source, :reason)
      AND (CAST(:only AS text) IS NULL OR key = CAST(:only AS text))
    GROUP BY key, source, outcome ORDER BY key, source, outcome LIMIT :limit""")
# Adds up what batches have counted; a reader finds the same sums before, meanwhile and after.
_PLACE = "key, source, day, outcome, type"
_ADD_UP = text(f"""
    WITH twice AS (SELECT {_PLACE} FROM trait_tally GROUP BY {_PLACE} HAVING count(*) > 1 LIMIT :most),
    gone AS (DELETE FROM trait_tally AS t USING twice AS w WHERE (t.key, t.source, t.day, t.outcome, t.type)
                 = (w.key, w.source, w.day, w.outcome, w.type) RETURNING t.*),
    shapes AS (SELECT {_PLACE}, (array_agg(DISTINCT e))[1:3] AS examples FROM gone, unnest(examples) AS e
               GROUP BY {_PLACE})
    INSERT INTO trait_tally ({_PLACE}, count, first_at, last_at, examples)
    SELECT {_PLACE}, sum(gone.count), min(gone.first_at), max(gone.last_at),
           coalesce(shapes.examples, '{{}}')
    FROM gone LEFT JOIN shapes USING ({_PLACE}) GROUP BY {_PLACE}, shapes.examples""")  # noqa: S608 (ours)


async def one(session: ReadSession, key: str) -> RowMapping | None:
    """The shop's definition of a key, archived ones too."""
    return (await session.execute(_ONE, {"key": key})).mappings().one_or_none()


async def computed(session: ReadSession, key: str) -> bool:
    """Whether a computed trait has the key."""
    return bool((await session.execute(_COMPUTED, {"key": key})).scalar_one())


async def every(session: ReadSession) -> Sequence[RowMapping]:
    """All definitions of the shop, by key."""
    return (await session.execute(_ALL)).mappings().all()


async def save(
    session: WriteSession, definition: Mapping[str, Any], version: int, by: str, *, archived: bool = False
) -> None:
    """Write a version, and have what is stored brought in line with it."""
    body = json.dumps(definition)
    values = {"key": definition["key"], "version": version, "definition": body, "archived": archived, "by": by}
    extracted = {name: definition[name] for name in ("strategy", "type", "sources")}
    await session.execute(_SAVE, {**values, **extracted, "revision": uuid7()})
    await session.execute(_HISTORY, values)
    await session.execute(_SWEEP, {"key": definition["key"], "version": version})


async def versions(session: ReadSession, key: str, before: int, limit: int) -> Sequence[RowMapping]:
    """Versions of a definition, newest first."""
    return (await session.execute(_VERSIONS, {"key": key, "before": before, "limit": limit})).mappings().all()


async def proposed(session: ReadSession, known: Sequence[str], after: str, limit: int) -> Sequence[RowMapping]:
    """Traits that were said and are not among the known ones, by key."""
    return (await session.execute(_PROPOSED, {"known": known, "after": after, "limit": limit})).mappings().all()


async def seen(session: ReadSession, key: str) -> RowMapping | None:
    """A trait that was said, as `proposed` has it."""
    return (await session.execute(_SEEN, {"key": key})).mappings().one_or_none()


async def refused(
    session: ReadSession, only: str | None, after: tuple[str, str, str], limit: int
) -> Sequence[RowMapping]:
    """What definitions did not take, by key, source and reason."""
    key, source, reason = after
    values = {"only": only, "key": key, "source": source, "reason": reason, "limit": limit}
    return (await session.execute(_REFUSED, values)).mappings().all()


async def add_up(session: WriteSession, most: int) -> int:
    """Make one row of all that count the same, for so many places; of how many it has made one."""
    added = await session.execute(_ADD_UP, {"most": most})
    return int(added.rowcount)  # type: ignore[attr-defined]
