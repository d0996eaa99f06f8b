"""The SQL of the 360: what is merged over a customer's identifiers when it is read."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.profile.orders.queries import COUNTS, SUMS

# Every section is one JSON document, so that the whole 360 is one round trip and one snapshot of map and facts.
_VIEW = text(f"""
    WITH who AS MATERIALIZED (SELECT customer_id FROM identity_map WHERE via = :id),
         mine AS MATERIALIZED (SELECT via FROM identity_map WHERE customer_id = (SELECT customer_id FROM who))
    SELECT
      (SELECT customer_id FROM who) AS id,
      (SELECT jsonb_object_agg(key, jsonb_build_object('value', value, 'at', at, 'source', source)) FROM (
          SELECT DISTINCT ON (key) key, value, at, source FROM mine JOIN trait USING (via)
          ORDER BY key, at DESC, source DESC, message_id DESC) AS newest WHERE value IS NOT NULL) AS traits,
      (SELECT jsonb_object_agg(name, jsonb_build_object('count', n, 'first', since, 'last', until)) FROM (
          SELECT name, sum(count) AS n, min(first) AS since, max(last) AS until
          FROM mine JOIN counter USING (via) GROUP BY name) AS counted) AS counters,
      (SELECT jsonb_agg(jsonb_build_object('currency', currency, 'orders', orders, 'gmv', gmv::text,
                                           'refunded', refunded::text, 'last_order_at', last_order_at)) FROM (
          SELECT currency, {SUMS} FROM mine JOIN purchase USING (via) WHERE {COUNTS} GROUP BY currency) AS bought
      ) AS orders,
      (SELECT jsonb_build_object('balance', sum(balance), 'pending', sum(pending), 'as_of', max(as_of))
       FROM mine JOIN account USING (via)) AS account,
      (SELECT jsonb_build_object('name', tier, 'as_of', as_of) FROM who JOIN tier USING (customer_id)) AS tier,
      (SELECT jsonb_agg(jsonb_build_object('id', segment_id, 'name', segment_name, 'since', since)
                        ORDER BY segment_name, segment_id)
       FROM who JOIN membership USING (customer_id) WHERE member) AS segments,
      (SELECT count(*) FROM mine JOIN ticket USING (via) WHERE open) AS open_tickets,
      (SELECT coalesce(sum(sent), 0) FROM mine JOIN outreach USING (via)) AS messages_sent,
      (SELECT min(first_seen) FROM mine JOIN activity USING (via)) AS first_seen,
      (SELECT max(last_seen) FROM mine JOIN activity USING (via)) AS last_seen
    """)  # noqa: S608 (constants of ours)
_OVERVIEW = text("""
    SELECT wanted.id, known.traits, seen.first_seen, seen.last_seen, seen.events
    FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
    CROSS JOIN LATERAL (SELECT jsonb_object_agg(key, value) AS traits FROM (
        SELECT DISTINCT ON (key) key, value FROM identity_map AS m JOIN trait USING (via)
        WHERE m.customer_id = wanted.id
        ORDER BY key, at DESC, source DESC, message_id DESC) AS newest WHERE value IS NOT NULL) AS known
    CROSS JOIN LATERAL (
        SELECT min(first_seen) AS first_seen, max(last_seen) AS last_seen, coalesce(sum(events), 0) AS events
        FROM identity_map AS m JOIN activity USING (via) WHERE m.customer_id = wanted.id) AS seen
    ORDER BY wanted.id""")
_LIST = text("""
    SELECT via FROM identity_map WHERE via = customer_id AND via > :after ORDER BY via LIMIT :limit""")
_BY_IDENTIFIER = text("SELECT customer_id FROM identity_map WHERE digest = :digest AND kind = :kind")
# The words of ix_trait_text, then: may this trait be searched, and is it still what the customer shows?
_SEARCH = text(f"""
    SELECT DISTINCT m.customer_id FROM trait AS t JOIN identity_map AS m USING (via)
    WHERE left(t.value #>> '{{}}', 200) ILIKE :pattern AND jsonb_typeof(t.value) = 'string'
      AND {masks.searchable("t.key", "(t.value #>> '{}')")}
      AND m.customer_id > :after
      AND NOT EXISTS (
        SELECT FROM identity_map AS o JOIN trait AS newer ON newer.via = o.via
        WHERE o.customer_id = m.customer_id AND newer.key = t.key
          AND (newer.at, newer.source, newer.message_id) > (t.at, t.source, t.message_id))
    ORDER BY m.customer_id LIMIT :limit""")  # noqa: S608 (ours)
_SUMMARY = text("""
    SELECT (SELECT count(*) FROM identity_map WHERE via = customer_id) AS customers,
           (SELECT coalesce(sum(events), 0) FROM activity) AS events""")


async def view(session: ReadSession, any_id: UUID) -> Row[Any] | None:
    """All sections of the customer whom an id means today, or None; a section without facts is null."""
    row = (await session.execute(_VIEW, {"id": any_id})).one()
    return None if row.id is None else row


async def overviews(session: ReadSession, customers: Sequence[UUID]) -> Sequence[Row[Any]]:
    """id, traits, first_seen, last_seen, events of each customer, sorted by id."""
    return (await session.execute(_OVERVIEW, {"ids": customers})).all()


async def listed(session: ReadSession, after: UUID, limit: int) -> list[UUID]:
    """Customers in the order of their ids."""
    return list((await session.execute(_LIST, {"after": after, "limit": limit})).scalars())


async def identified(session: ReadSession, kind: str, digest: bytes) -> list[UUID]:
    """The customer who has this identifier, if anyone."""
    return list((await session.execute(_BY_IDENTIFIER, {"kind": kind, "digest": digest})).scalars())


async def found(session: ReadSession, principal: Principal, pattern: str, after: UUID, limit: int) -> list[UUID]:
    """Customers who show the principal a trait whose text is like the pattern, in the order of their ids."""
    values = {"pattern": pattern, "after": after, "limit": limit, **masks.search_parameters(principal)}
    return list((await session.execute(_SEARCH, values)).scalars())


async def totals(session: ReadSession) -> Row[Any]:
    """How many customers and events there are."""
    return (await session.execute(_SUMMARY)).one()
