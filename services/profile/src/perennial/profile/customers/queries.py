"""The SQL of the 360: what is merged over a customer's identifiers when it is read."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession
from perennial.profile.orders.queries import COUNTS, SUMS
from perennial.profile.traits.sealing import Opened, opened_details
from perennial.profile.traits.survivors import survivors

RATINGS, JOURNEYS, COUPONS = 5, 10, 20

_IDENTITY = """
      (SELECT jsonb_object_agg(kind, n) FROM (
          SELECT coalesce(kind, 'unknown') AS kind, count(*) AS n FROM mine GROUP BY 1) AS kinds) AS identifiers,
      (SELECT jsonb_agg(DISTINCT p.merged) FROM mine JOIN merger AS p ON p.merged = mine.via
       JOIN mine AS s ON s.via = p.survivor) AS merged_from"""
_BEHAVIOUR = """
      (SELECT jsonb_object_agg(name, jsonb_build_object('count', n, 'first', since, 'last', until)) FROM (
          SELECT name, sum(count) AS n, min(first) AS since, max(last) AS until
          FROM mine JOIN counter USING (via) GROUP BY name) AS counted) AS counters,
      (SELECT jsonb_build_object('events', coalesce(sum(events), 0), 'first_seen', min(first_seen),
                                 'last_seen', max(last_seen))
       FROM mine JOIN activity USING (via)) AS activity,
      (SELECT jsonb_agg(DISTINCT source ORDER BY source)
       FROM mine JOIN activity USING (via) CROSS JOIN unnest(sources) AS source) AS sources"""
_TRANSACTIONS = f"""
      (SELECT jsonb_agg(jsonb_build_object('currency', currency, 'orders', orders, 'gmv', gmv::text,
                                           'refunded', refunded::text, 'last_order_at', last_order_at)) FROM (
          SELECT currency, {SUMS} FROM mine JOIN purchase USING (via) WHERE {COUNTS} GROUP BY currency) AS bought
      ) AS orders"""  # noqa: S608 (constants of ours)
_SERVICE = f"""
      (SELECT jsonb_agg(jsonb_build_object('id', ticket_id, 'type', type, 'stage', stage, 'priority', priority,
                            'opened_at', opened_at, 'breached', breached, 'breached_at', breached_at, 'as_of', as_of)
                        ORDER BY opened_at DESC NULLS LAST, ticket_id)
       FROM mine JOIN ticket USING (via) WHERE open) AS requests,
      (SELECT jsonb_agg(rated) FROM (
          SELECT ticket_id, type, score, rated_at AS at FROM mine JOIN ticket USING (via) WHERE rated_at IS NOT NULL
          ORDER BY rated_at DESC, ticket_id LIMIT {RATINGS}) AS rated) AS ratings,
      (SELECT max(as_of) FROM mine JOIN ticket USING (via) WHERE open OR rated_at IS NOT NULL) AS tickets_as_of,
      (SELECT jsonb_agg(reached ORDER BY channel) FROM (
          SELECT channel, sum(sent) AS sent, sum(suppressed) AS suppressed, max(last_sent_at) AS last_sent_at,
                 max(last_suppressed_at) AS last_suppressed_at,
                 (array_agg(last_reason ORDER BY last_suppressed_at DESC NULLS LAST))[1] AS last_reason
          FROM mine JOIN reach USING (via) GROUP BY channel) AS reached) AS channels,
      (SELECT coalesce(sum(sent), 0) FROM mine JOIN outreach USING (via)) AS sent_before"""  # noqa: S608 (ours)
_LIFECYCLE = f"""
      (SELECT jsonb_object_agg(currency, held) FROM (
          SELECT currency, jsonb_build_object('balance', sum(balance), 'pending', sum(pending),
                                              'as_of', max(as_of)) AS held
          FROM mine JOIN account USING (via) GROUP BY currency) AS wallet) AS account,
      (SELECT jsonb_object_agg(currency, announced) FROM (
          SELECT currency, jsonb_agg(jsonb_build_object('points', points, 'expires_at', expires_at, 'as_of', as_of)
                                     ORDER BY expires_at) AS announced
          FROM (SELECT currency, expires_at, sum(points) AS points, max(as_of) AS as_of
                FROM mine JOIN expiring USING (via) WHERE expires_at > now() GROUP BY 1, 2) AS ends
          GROUP BY currency) AS ending) AS expiring,
      (SELECT jsonb_build_object('name', tier, 'as_of', as_of) FROM who JOIN tier USING (customer_id)) AS tier,
      (SELECT jsonb_agg(jsonb_build_object('id', segment_id, 'name', segment_name, 'since', since, 'as_of', as_of)
                        ORDER BY segment_name, segment_id)
       FROM who JOIN membership USING (customer_id) WHERE member) AS segments,
      (SELECT jsonb_agg(travelled) FROM (
          SELECT enrolment_id, journey_id, started_at, ended_at, reason, coalesce(ended_at, started_at) AS as_of
          FROM mine JOIN enrolment USING (via)
          ORDER BY ended_at DESC NULLS FIRST, started_at DESC, enrolment_id LIMIT {JOURNEYS}) AS travelled
      ) AS journeys"""  # noqa: S608 (ours)
_COUPONS = f"""
      (SELECT jsonb_build_object('total', count(*) FILTER (WHERE held), 'as_of', max(as_of))
       FROM mine JOIN coupon USING (via)) AS coupons,
      (SELECT jsonb_agg(given) FROM (
          SELECT coupon_id AS id, source, coupon.kind, name, state, since, expires_at, as_of
          FROM mine JOIN coupon USING (via) WHERE held ORDER BY since DESC, source, coupon_id LIMIT {COUPONS}) AS given
      ) AS coupons_held"""  # noqa: S608 (ours)
# Every section is one JSON document, so that the whole 360 is one round trip and one snapshot of map and facts.
_VIEW = text(f"""
    WITH who AS MATERIALIZED (SELECT customer_id FROM identity_map WHERE via = :id),
         mine AS MATERIALIZED (
            SELECT via, kind FROM identity_map WHERE customer_id = (SELECT customer_id FROM who))
    SELECT
      (SELECT customer_id FROM who) AS id, now() AS now,
      (SELECT jsonb_object_agg(key, jsonb_build_object('value', value, 'at', at, 'source', source)) FROM (
          {survivors("m.customer_id = (SELECT customer_id FROM who)")}) AS shown) AS traits,
      (SELECT jsonb_build_object('computed', computed, 'tags', tags, 'stage', stage, 'as_of', as_of)
       FROM who JOIN customer USING (customer_id)) AS derived,
      {_IDENTITY},{_BEHAVIOUR},{_TRANSACTIONS},{_SERVICE},{_LIFECYCLE},{_COUPONS}
    """)  # noqa: S608 (constants of ours)
_SUMMARY = text("""
    SELECT (SELECT count(*) FROM identity_map WHERE via = customer_id) AS customers,
           (SELECT coalesce(sum(events), 0) FROM activity) AS events""")


async def view(session: ReadSession, any_id: UUID) -> Opened | None:
    """The sections of the customer whom an id means today; None when nobody has or had it."""
    row = (await session.execute(_VIEW, {"id": any_id})).one()
    return None if row.id is None else opened_details(session, row)


async def totals(session: ReadSession) -> Row[Any]:
    """How many customers and events there are."""
    return (await session.execute(_SUMMARY)).one()
