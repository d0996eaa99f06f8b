"""What is stored of traits, read and replaced in batches of identifiers while others read and write it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, RowMapping, text

from perennial.common.db import ReadSession, WriteSession, raw

_RING = text("""
    INSERT INTO trait_sweep AS s (key, version, after, done)
    VALUES ('', :ring, '00000000-0000-0000-0000-000000000000', false)
    ON CONFLICT (key) DO UPDATE SET version = excluded.version, after = excluded.after, done = false
    WHERE s.version <> excluded.version""")
_NEXT = text("SELECT key, version, after FROM trait_sweep WHERE NOT done ORDER BY key LIMIT 1")
_VIAS = text("SELECT via FROM identity_map WHERE via > :after ORDER BY via LIMIT :limit")
_MOVE = text("UPDATE trait_sweep SET after = :after, done = :done WHERE key = :key AND version = :version")
# In the order in which batches of events write, and held: what they write meanwhile must not be replaced.
_STATEMENTS = text("""
    SELECT via, key, source, CAST(value AS text) AS value, CAST(first_value AS text) AS first_value, fits FROM trait
    WHERE via = ANY(CAST(:vias AS uuid[])) AND (:key = '' OR key = :key)
    ORDER BY via, key COLLATE "C", source FOR UPDATE""")
_REPLACE = """
    UPDATE trait AS t SET value = n.value::jsonb, first_value = n.first_value::jsonb, fits = n.fits,
        first_at = CASE WHEN n.first_fits THEN t.first_at ELSE t.at END,
        first_message_id = CASE WHEN n.first_fits THEN t.first_message_id ELSE t.message_id END
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::bool[])
        AS n(via, key, source, value, first_value, fits, first_fits)
    WHERE (t.via, t.key, t.source) = (n.via, n.key, n.source)"""
_EDITS = text("""
    SELECT id, via, key, CAST(value AS text) AS value, CAST(before AS text) AS before FROM trait_edit
    WHERE via = ANY(CAST(:vias AS uuid[])) AND (:key = '' OR key = :key) ORDER BY id FOR UPDATE""")
_REPLACE_EDITS = """
    UPDATE trait_edit AS t SET value = n.value::jsonb, before = n.before::jsonb
    FROM unnest($1::uuid[], $2::text[], $3::text[]) AS n(id, value, before) WHERE t.id = n.id"""
_EVENTS = text("""
    SELECT id, via, timestamp, CAST(body -> 'traits' AS text) AS said,
           CAST(body #> '{context,traits}' AS text) AS hints
    FROM event
    WHERE via = ANY(CAST(:vias AS uuid[]))
      AND (jsonb_typeof(body -> 'traits') = 'object' OR jsonb_typeof(body #> '{context,traits}') = 'object')""")
_SEAL_EVENTS = "SELECT seal_events($1::uuid[], $2::timestamptz[], $3::text[]::jsonb[], $4::text[]::jsonb[])"


async def follow_ring(session: WriteSession, ring: int) -> None:
    """Have everything sealed again when another key has become the first."""
    await session.execute(_RING, {"ring": ring})


async def pending(session: ReadSession) -> RowMapping | None:
    """A sweep that is not done: its key, version and the identifier up to which it is."""
    return (await session.execute(_NEXT)).mappings().one_or_none()


async def next_vias(session: ReadSession, after: UUID, limit: int) -> list[UUID]:
    """Identifiers behind one, in order."""
    return list((await session.execute(_VIAS, {"after": after, "limit": limit})).scalars())


async def move(session: WriteSession, sweep: RowMapping, after: UUID, *, done: bool) -> None:
    """Remember how far a sweep is, unless it has begun anew."""
    await session.execute(_MOVE, {"key": sweep["key"], "version": sweep["version"], "after": after, "done": done})


async def statements(session: WriteSession, vias: Sequence[UUID], key: str) -> Sequence[Row[Any]]:
    """What is stored under identifiers, of one trait or of all, held."""
    return (await session.execute(_STATEMENTS, {"vias": vias, "key": key})).all()


async def replace(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Write (via, key, source, value, first_value, fits, first_fits)."""
    if rows:
        await (await raw(session)).execute(_REPLACE, *zip(*rows, strict=True))


async def edits(session: WriteSession, vias: Sequence[UUID], key: str) -> Sequence[Row[Any]]:
    """What staff wrote under identifiers, held."""
    return (await session.execute(_EDITS, {"vias": vias, "key": key})).all()


async def replace_edits(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Write (id, value, before)."""
    if rows:
        await (await raw(session)).execute(_REPLACE_EDITS, *zip(*rows, strict=True))


async def events(session: ReadSession, vias: Sequence[UUID]) -> Sequence[Row[Any]]:
    """The events under identifiers that bear traits."""
    return (await session.execute(_EVENTS, {"vias": vias})).all()


async def seal_events(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Write (id, timestamp, traits, traits of the context) of events; None leaves them as they are."""
    if rows:
        await (await raw(session)).execute(_SEAL_EVENTS, *zip(*rows, strict=True))
