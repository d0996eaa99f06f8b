"""The SQL of edits by hand, and of what a trait is made of."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.profile.traits.survivors import MANUAL, survivors

MOST = 1000
_SHOWN = text(survivors("m.customer_id = :customer AND t.key = ANY(:keys)"))
_STATEMENTS = text(f"""
    SELECT via, source, value, at, fits, first_value, first_at FROM identity_map AS m JOIN trait AS t USING (via)
    WHERE m.customer_id = :customer AND t.key = :key
    ORDER BY source <> '{MANUAL}', at DESC, source, via LIMIT {MOST}""")  # noqa: S608 (ours)
_GIVE_BACK = text(f"""
    DELETE FROM trait AS t USING identity_map AS m
    WHERE m.via = t.via AND m.customer_id = :customer AND t.key = ANY(:keys) AND t.source = '{MANUAL}'""")  # noqa: S608
_ADD = """
    INSERT INTO trait_edit (id, via, key, value, before, given_back, reason, by, at)
    SELECT id, via, key, value::jsonb, before::jsonb, given_back, reason, by, at
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::text[], $8::text[],
                $9::timestamptz[]) AS x (id, via, key, value, before, given_back, reason, by, at)"""
_HISTORY = text("""
    SELECT e.id, e.via, e.key, e.value, e.before, e.given_back, e.reason, e.by, e.at
    FROM identity_map AS m JOIN trait_edit AS e USING (via)
    WHERE m.customer_id = :customer AND e.key = :key
      AND (CAST(:before AS uuid) IS NULL OR e.id < CAST(:before AS uuid))
    ORDER BY e.id DESC LIMIT :limit""")


async def shown(session: ReadSession, customer: UUID, keys: Collection[str]) -> Mapping[str, Row[Any]]:
    """(key, value, at, source) of what a customer shows, as it is stored."""
    rows = await session.execute(_SHOWN, {"customer": customer, "keys": list(keys)})
    return {row.key: row for row in rows}


async def statements(session: ReadSession, customer: UUID, key: str) -> Sequence[Row[Any]]:
    """What each source says under each identifier, as it is stored: what staff wrote and the newest, MOST at most."""
    return (await session.execute(_STATEMENTS, {"customer": customer, "key": key})).all()


async def give_back(session: WriteSession, customer: UUID, keys: Collection[str]) -> None:
    """Withdraw what was written by hand."""
    if keys:
        await session.execute(_GIVE_BACK, {"customer": customer, "keys": list(keys)})


async def add(session: WriteSession, rows: Sequence[tuple[object, ...]]) -> None:
    """Note (id, via, key, value, before, given_back, reason, by, at)."""
    await (await raw(session)).execute(_ADD, *zip(*rows, strict=True))


async def history(
    session: ReadSession, customer: UUID, key: str, before: UUID | None, limit: int
) -> Sequence[Row[Any]]:
    """Edits of a trait, newest first."""
    values = {"customer": customer, "key": key, "before": before, "limit": limit}
    return (await session.execute(_HISTORY, values)).all()
