"""The fact tables that rules are asked over, for any service that adopts them: writing, and loading views.

Facts are stored under the `via` that produced them; which customer that is today, the identity map says.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common.rules.footprint import Footprint
from perennial.common.rules.paths import trait_key
from perennial.common.rules.sql import LATEST
from perennial.common.rules.view import Occurrence, View

_encoder = msgspec.json.Encoder(decimal_format="number")

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
    ON CONFLICT (id) DO NOTHING""")
_TRAITS = text(f"""
    SELECT DISTINCT ON (m.customer_id, t.key) m.customer_id, t.key, t.value::text
    FROM identity_map AS m JOIN trait AS t ON t.via = m.via
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) AND t.key = ANY(CAST(:keys AS text[]))
    ORDER BY m.customer_id, t.key, {LATEST}""")  # noqa: S608 (a constant of ours)
_EVENTS = text("""
    SELECT m.customer_id, e.name, e.at,
           CASE WHEN e.name = ANY(CAST(:detailed AS text[])) THEN e.properties::text END AS properties
    FROM identity_map AS m JOIN event AS e ON e.via = m.via
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) AND e.name = ANY(CAST(:names AS text[]))
      AND e.at > CAST(:since AS timestamptz)
    ORDER BY e.at""")
_MEMBERSHIPS = text("""
    SELECT customer_id, segment_id FROM membership
    WHERE customer_id = ANY(CAST(:customers AS uuid[])) AND segment_id = ANY(CAST(:segments AS uuid[]))""")
_EVER = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


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


def fact_tables(metadata: MetaData) -> tuple[Table, Table]:
    """Tables `trait` and `event`, indexed for loading a customer and for asking all of them."""
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
        Column("at", DateTime(timezone=True), nullable=False),
        Column("properties", JSONB, nullable=False),
        Index(None, "via", "name", "at"),
        Index(None, "name", "at"),
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
    if not facts:
        return
    values = {
        "ids": [fact.id for fact in facts],
        "vias": [fact.via for fact in facts],
        "names": [fact.name for fact in facts],
        "ats": [fact.at for fact in facts],
        "properties": [_encoder.encode(fact.properties).decode() for fact in facts],
    }
    await session.execute(_RECORD_EVENTS, values)


async def load_views(
    session: AsyncSession, customer_ids: Collection[UUID], footprint: Footprint, now: datetime
) -> dict[UUID, View]:
    """What the footprint reads of each customer, in at most three queries; future events included."""
    wanted: dict[str, object] = {"customers": list(customer_ids)}
    traits: dict[UUID, dict[str, object]] = {customer: {} for customer in customer_ids}
    events: dict[UUID, dict[str, list[Occurrence]]] = {customer: {} for customer in customer_ids}
    segments: dict[UUID, set[UUID]] = {customer: set() for customer in customer_ids}
    if footprint.traits:
        for customer, key, value in await session.execute(_TRAITS, wanted | {"keys": list(footprint.traits)}):
            traits[customer][key] = decode(value)
    if footprint.events:
        since = _EVER if footprint.look_back is None else now - footprint.look_back
        names = {"names": list(footprint.events), "detailed": list(footprint.detailed), "since": since}
        for customer, name, at, properties in await session.execute(_EVENTS, wanted | names):
            events[customer].setdefault(name, []).append(Occurrence(at, decode(properties) or {}))
    if footprint.segments:
        rows = await session.execute(_MEMBERSHIPS, wanted | {"segments": list(footprint.segments)})
        for customer, segment in rows:
            segments[customer].add(segment)
    return {customer: View(customer, traits[customer], events[customer], segments[customer]) for customer in traits}


def decode(document: str | None) -> Any:
    """JSON as rules read it: fractions as Decimal, so that nothing is lost on the way to an answer."""
    return None if document is None else json.loads(document, parse_float=Decimal, parse_int=_whole)


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 31 else Decimal(digits)
