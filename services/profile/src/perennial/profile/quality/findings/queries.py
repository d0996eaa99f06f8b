"""Findings, and the statements that they are about, in SQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw

_LIST = text("""
    SELECT f.*, m.customer_id, r.definition ->> 'name' AS rule_name
    FROM quality_finding AS f JOIN quality_rule AS r ON r.id = f.rule LEFT JOIN identity_map AS m USING (via)
    WHERE (CAST(:before AS uuid) IS NULL OR f.id < :before)
      AND (CAST(:rule AS uuid) IS NULL OR f.rule = :rule)
      AND (CAST(:source AS text) IS NULL OR f.source = :source)
      AND (CAST(:key AS text) IS NULL OR f.key = :key)
      AND (CAST(:state AS text) IS NULL OR f.state = :state)
    ORDER BY f.id DESC LIMIT :limit""")
_ONE = text("""
    SELECT f.*, m.customer_id, r.definition ->> 'name' AS rule_name
    FROM quality_finding AS f JOIN quality_rule AS r ON r.id = f.rule LEFT JOIN identity_map AS m USING (via)
    WHERE f.id = :id""")
_HELD = text("""
    SELECT id, rule, action, key, source, via, CAST(value AS text) AS value, at, message_id, first
    FROM quality_finding
    WHERE state = 'open' AND id = ANY(CAST(:ids AS uuid[])) ORDER BY via, key, source""")
_OF_RULE = text("""
    SELECT id FROM quality_finding
    WHERE rule = :rule AND state = 'open' AND action <> 'flag' AND id > :after ORDER BY id LIMIT :limit""")
# A finding that has become another one meanwhile is left alone. Findings are locked last, as batches do.
_END = """
    UPDATE quality_finding AS f SET state = $4, ended_at = now()
    FROM unnest($1::uuid[], $2::timestamptz[], $3::text[]) AS n(id, at, message_id)
    WHERE (f.id, f.at, f.message_id) = (n.id, n.at, n.message_id) AND f.state = 'open'"""
# In the order in which batches of events write, and held: what they write meanwhile must not be replaced.
_STATEMENTS = text("""
    SELECT via, key, source, CAST(value AS text) AS value, at, message_id, CAST(first_value AS text) AS first_value,
           first_at, first_message_id
    FROM trait WHERE via = ANY(CAST(:vias AS uuid[])) AND key = :key AND value IS NOT NULL AND fits
      AND source <> 'manual'
    ORDER BY via, key, source FOR UPDATE""")
_REPLACE = """
    UPDATE trait AS t SET value = n.value::jsonb,
        first_at = CASE WHEN n.value IS NULL AND t.first_value IS NULL THEN NULL ELSE coalesce(t.first_at, t.at) END,
        first_message_id = CASE WHEN n.value IS NULL AND t.first_value IS NULL THEN NULL
                           ELSE coalesce(t.first_message_id, t.message_id) END
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        AS n(via, key, source, value, at, message_id)
    WHERE (t.via, t.key, t.source, t.at, t.message_id) = (n.via, n.key, n.source, n.at, n.message_id)"""
_REMOVE = """
    DELETE FROM trait AS t USING unnest($1::uuid[], $2::text[], $3::text[]) AS n(via, key, source)
    WHERE (t.via, t.key, t.source) = (n.via, n.key, n.source)"""
_UNINDEX = """
    DELETE FROM quality_value AS t USING unnest($1::uuid[], $2::text[], $3::text[]) AS n(via, key, source)
    WHERE (t.via, t.key, t.source) = (n.via, n.key, n.source)"""
# Of all who give the same value the first one keeps it.
_LATER = text("""
    SELECT n.via, n.source
    FROM unnest(CAST(:vias AS uuid[]), CAST(:sources AS text[])) AS n (via, source)
    JOIN quality_value AS own ON own.key = :key AND own.via = n.via AND own.source = n.source
    LEFT JOIN identity_map AS mine ON mine.via = n.via
    WHERE EXISTS (
        SELECT FROM quality_value AS q LEFT JOIN identity_map AS m ON m.via = q.via
        WHERE q.key = :key AND q.digest = own.digest AND (q.at, q.via, q.source) < (own.at, own.via, own.source)
          AND coalesce(m.customer_id, q.via) <> coalesce(mine.customer_id, n.via))""")
_OLD_KEYS = text("""
    SELECT id, via, key, CAST(value AS text) AS value, CAST(taken AS text) AS taken,
           CAST(first #> '{value}' AS text) AS first_value
    FROM quality_finding
    WHERE id > :after AND (value ? '$sealed' OR taken ? '$sealed' OR first #> '{value}' ? '$sealed')
    ORDER BY id LIMIT :limit FOR UPDATE""")
_SEAL = """
    UPDATE quality_finding AS f SET value = n.value::jsonb, taken = n.taken::jsonb,
        first = CASE WHEN n.first_value IS NULL THEN f.first
                ELSE jsonb_set(f.first, '{value}', n.first_value::jsonb) END
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) AS n(id, value, taken, first_value)
    WHERE f.id = n.id"""
_CUSTOMERS = text("SELECT via FROM identity_map WHERE via > :after ORDER BY via LIMIT :limit")


async def listing(
    session: ReadSession, wanted: Mapping[str, Any], before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """Findings, the newest first."""
    return [
        dict(row) for row in (await session.execute(_LIST, {**wanted, "before": before, "limit": limit})).mappings()
    ]


async def one(session: ReadSession, finding: UUID) -> dict[str, Any] | None:
    """One finding."""
    row = (await session.execute(_ONE, {"id": finding})).mappings().one_or_none()
    return dict(row) if row else None


async def held(session: WriteSession, ids: Iterable[UUID]) -> Sequence[Row[Any]]:
    """Open findings."""
    return (await session.execute(_HELD, {"ids": list(ids)})).all()


async def of_rule(session: ReadSession, rule: UUID, after: UUID, limit: int) -> list[UUID]:
    """Open findings of a rule that took something away, behind an id."""
    return list((await session.execute(_OF_RULE, {"rule": rule, "after": after, "limit": limit})).scalars())


async def end(session: WriteSession, rows: Sequence[Row[Any]], state: str) -> None:
    """Close findings."""
    if rows:
        columns = zip(*((row.id, row.at, row.message_id) for row in rows), strict=True)
        await (await raw(session)).execute(_END, *columns, state)


async def vias(session: ReadSession, after: UUID, limit: int) -> list[UUID]:
    """Identifiers behind one, in order."""
    return list((await session.execute(_CUSTOMERS, {"after": after, "limit": limit})).scalars())


async def statements(session: WriteSession, vias: Sequence[UUID], key: str) -> Sequence[Row[Any]]:
    """What sources say of a trait under identifiers, held; what staff wrote is left out."""
    return (await session.execute(_STATEMENTS, {"vias": list(vias), "key": key})).all()


async def later(session: ReadSession, key: str, places: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Those of the statements (via, source) whose value another customer has given before."""
    if not places:
        return set()
    given, sources = zip(*places, strict=True)
    found = await session.execute(_LATER, {"key": key, "vias": list(given), "sources": list(sources)})
    return {(row.via, row.source) for row in found}


async def replace(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Write (via, key, source, value, at, message_id) where that statement is still the last."""
    if rows:
        await (await raw(session)).execute(_REPLACE, *zip(*rows, strict=True))


async def remove(session: WriteSession, places: Sequence[tuple[object, ...]]) -> None:
    """Take statements (via, key, source) away, and what is indexed of them."""
    if places:
        driver = await raw(session)
        await driver.execute(_REMOVE, *zip(*places, strict=True))
        await driver.execute(_UNINDEX, *zip(*places, strict=True))


async def unindex(session: WriteSession, places: Sequence[tuple[object, ...]]) -> None:
    """Forget the values of statements (via, key, source) that should be unique."""
    if places:
        await (await raw(session)).execute(_UNINDEX, *zip(*places, strict=True))


async def sealed(session: WriteSession, after: UUID, limit: int) -> Sequence[Row[Any]]:
    """Findings behind an id that hold sealed values, locked."""
    return (await session.execute(_OLD_KEYS, {"after": after, "limit": limit})).all()


async def seal(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Write (id, value, taken, value said first)."""
    if rows:
        await (await raw(session)).execute(_SEAL, *zip(*rows, strict=True))
