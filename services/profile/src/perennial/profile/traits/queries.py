"""The SQL of traits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from perennial.common.db import WriteSession, raw

# What the platform shows now for the customers of these identifiers and keys.
_SHOWN = """
    SELECT DISTINCT ON (wanted.via, wanted.key)
           wanted.via, wanted.key, mine.customer_id, t.value::text AS value, t.at, t.source, t.message_id
    FROM unnest($1::uuid[], $2::text[]) AS wanted(via, key)
    JOIN identity_map AS mine ON mine.via = wanted.via
    JOIN identity_map AS other ON other.customer_id = mine.customer_id
    LEFT JOIN trait AS t ON t.via = other.via AND t.key = wanted.key
    ORDER BY wanted.via, wanted.key, t.at DESC NULLS LAST, t.source DESC, t.message_id DESC"""
_WRITE = """
    INSERT INTO trait AS t (via, key, value, at, source, message_id)
    SELECT via, key, value::jsonb, at, source, message_id
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
        AS x(via, key, value, at, source, message_id)
    ON CONFLICT (via, key) DO UPDATE SET value = excluded.value, at = excluded.at, source = excluded.source,
        message_id = excluded.message_id
    WHERE (t.at, t.source, t.message_id) < (excluded.at, excluded.source, excluded.message_id)"""

Stamp = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """One trait said of an identifier, as JSON text; None cleared it. The greatest stamp is the truth."""

    via: UUID
    key: str
    value: str | None
    stamp: Stamp
    live: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """The value a customer shows for a key, and the stamp it has; no stamp: never said."""

    customer: UUID
    value: str | None
    stamp: Stamp | None


async def shown(session: WriteSession, wanted: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], Shown]:
    """For each identifier and key, what its customer shows for the key."""
    if not wanted:
        return {}
    rows = await (await raw(session)).fetch(_SHOWN, *zip(*wanted, strict=True))
    return {(row["via"], row["key"]): Shown(row["customer_id"], row["value"], _stamp(row)) for row in rows}


def _stamp(row: asyncpg.Record) -> Stamp | None:
    return None if row["at"] is None else (row["at"], row["source"], row["message_id"])


async def write(session: WriteSession, said: Sequence[Said]) -> None:
    """Keep each that is newer than what is stored; unique and sorted by identifier and key."""
    columns = zip(*((item.via, item.key, item.value, *item.stamp) for item in said), strict=True)
    await (await raw(session)).execute(_WRITE, *columns)
