"""The fact tables that rules are asked over, for any service that adopts them, and writing them; `views` loads.

Facts are stored under the `via` that produced them; which customer that is today, the identity map says.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common.db.copying import copy, instant
from perennial.common.rules.facts.views import decode, load_views
from perennial.common.rules.values.paths import trait_key

__all__ = ["EventFact", "TraitFact", "decode", "fact_tables", "load_views", "record_events", "record_traits"]

MANY = 100
_encoder = msgspec.json.Encoder(decimal_format="number")
_COPIED = ("id", "via", "name", "at", "properties")
_WHOSE, _WHEN = struct.Struct(">hi16si16si"), struct.Struct(">iqiB")

_RECORD_TRAITS = text("""
    INSERT INTO trait AS t (via, key, value, at, source, message_id)
    SELECT DISTINCT ON (via, key) via, key, value::jsonb, at, source, message_id
    FROM unnest(CAST(:vias AS uuid[]), CAST(:keys AS text[]), CAST(:values AS text[]), CAST(:ats AS timestamptz[]),
                CAST(:sources AS text[]), CAST(:messages AS text[]))
         WITH ORDINALITY AS row(via, key, value, at, source, message_id, n)
    ORDER BY via, key, at DESC, source COLLATE "C" DESC, message_id COLLATE "C" DESC, n DESC
    ON CONFLICT (via, key) DO UPDATE
    SET value = excluded.value, at = excluded.at, source = excluded.source, message_id = excluded.message_id
    WHERE (t.at, t.source COLLATE "C", t.message_id COLLATE "C")
        < (excluded.at, excluded.source COLLATE "C", excluded.message_id COLLATE "C")""")
_RECORD_EVENTS = text("""
    INSERT INTO event (id, via, name, at, properties)
    SELECT id, via, name, at, properties::jsonb
    FROM unnest(CAST(:ids AS uuid[]), CAST(:vias AS uuid[]), CAST(:names AS text[]), CAST(:ats AS timestamptz[]),
                CAST(:properties AS text[])) AS row(id, via, name, at, properties)
    ORDER BY id
    ON CONFLICT DO NOTHING""")


@dataclass(frozen=True, slots=True)
class TraitFact:
    """One trait said of an identifier; `value` None clears it."""

    via: UUID
    key: str
    value: object
    at: datetime
    source: str
    message_id: str


@dataclass(frozen=True, slots=True)
class EventFact:
    """One event of an identifier; `properties` is JSON, decoded or as `msgspec.Raw`."""

    id: UUID
    via: UUID
    name: str
    at: datetime
    properties: Mapping[str, object] | msgspec.Raw


def fact_tables(metadata: MetaData, *, by_month: bool = False) -> tuple[Table, Table]:
    """Tables `trait` and `event`, indexed for loading a customer and for asking all of them.

    `by_month`: events are divided by when they happened. The same event happened at the same time.
    """
    trait = Table(
        "trait",
        metadata,
        Column("via", Uuid, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("value", JSONB),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("source", Text, nullable=False),
        Column("message_id", Text, nullable=False),
        Index(None, "key"),
    )
    event = Table(
        "event",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("via", Uuid, nullable=False),
        Column("name", Text, nullable=False),
        Column("at", DateTime(timezone=True), primary_key=by_month, nullable=False),
        Column("properties", JSONB, nullable=False),
        Index(None, "via", "name", "at"),
        Index(None, "name", "at"),
        postgresql_partition_by="RANGE (at)" if by_month else None,
    )
    return trait, event


async def record_traits(session: AsyncSession, rows: Iterable[TraitFact]) -> None:
    """Writes traits; per identifier and key the latest by (time, source, message id) stays, in any order.

    Where one message spells a trait twice (`createdAt`, `created_at`), the later row counts.
    """
    facts = list(rows)
    if not facts:
        return
    values = {
        "vias": [fact.via for fact in facts],
        "keys": [trait_key(fact.key) for fact in facts],
        "values": [_encoder.encode(fact.value).decode() for fact in facts],
        "ats": [fact.at for fact in facts],
        "sources": [fact.source for fact in facts],
        "messages": [fact.message_id for fact in facts],
    }
    await session.execute(_RECORD_TRAITS, values)


async def record_events(session: AsyncSession, rows: Iterable[EventFact]) -> None:
    """Writes events; an id that is there already changes nothing."""
    facts = list(rows)
    if not facts or (len(facts) >= MANY and await _all_new(session, facts)):
        return
    values = {
        "ids": [fact.id for fact in facts],
        "vias": [fact.via for fact in facts],
        "names": [fact.name for fact in facts],
        "ats": [fact.at for fact in facts],
        "properties": [_encoder.encode(fact.properties).decode() for fact in facts],
    }
    await session.execute(_RECORD_EVENTS, values)


async def _all_new(session: AsyncSession, facts: Iterable[EventFact]) -> bool:
    """COPY them in, at two thirds of the price; a repeat among them takes all back."""
    try:
        async with session.begin_nested():
            await copy(session, "event", _COPIED, map(_copied, facts))
    except asyncpg.UniqueViolationError:
        return False
    return True


def _copied(fact: EventFact) -> tuple[bytes, ...]:
    name, said = fact.name.encode(), _encoder.encode(fact.properties)
    return (
        _WHOSE.pack(len(_COPIED), 16, fact.id.int.to_bytes(16), 16, fact.via.int.to_bytes(16), len(name)),
        name,
        _WHEN.pack(8, instant(fact.at), len(said) + 1, 1),
        said,
    )
