"""The SQL of the derived row."""

import json
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import array
from perennial.profile.rows.drafts import Draft, Seen
from perennial.profile.traits.survivors import survivors

_TODAY = "EXISTS (SELECT FROM identity_map AS own WHERE own.via = {0} AND own.customer_id = {0})"
_REFRESH = text(f"""
    WITH known AS MATERIALIZED (
        SELECT customer_id, jsonb_object_agg(key, value) AS traits
        FROM ({survivors("m.customer_id = ANY(CAST(:ids AS uuid[]))")}) AS shown GROUP BY customer_id),
    before AS MATERIALIZED (
        SELECT customer_id, traits FROM customer WHERE customer_id = ANY(CAST(:ids AS uuid[]))),
    wanted AS MATERIALIZED (
        SELECT w.id, {_TODAY.format("w.id")} AS today, before.traits AS before,
               coalesce(known.traits, '{{}}') AS after
        FROM unnest(CAST(:ids AS uuid[])) AS w (id)
        LEFT JOIN before ON before.customer_id = w.id LEFT JOIN known ON known.customer_id = w.id),
    written AS (
        INSERT INTO customer (customer_id, traits, traits_at)
        SELECT id, after, :now FROM wanted WHERE today AND before IS DISTINCT FROM after
        ON CONFLICT (customer_id) DO UPDATE SET traits = excluded.traits, traits_at = excluded.traits_at)
    SELECT id, today, CASE WHEN :tell THEN coalesce(before, '{{}}') END AS before,
           CASE WHEN :tell THEN after END AS after
    FROM wanted WHERE NOT today OR before IS DISTINCT FROM after ORDER BY id""")  # noqa: S608 (ours)
_FORGET = text(f"""
    DELETE FROM customer WHERE customer_id = ANY(CAST(:ids AS uuid[])) AND NOT {_TODAY.format("customer.customer_id")}
    """)  # noqa: S608 (ours)
_ROWS = text("""
    SELECT customer_id, traits, computed, tags, stage, first_seen, last_seen, events, as_of
    FROM customer WHERE customer_id = ANY(CAST(:ids AS uuid[]))""")
_SEEN = text("""
    SELECT m.customer_id, min(first_seen) AS first_seen, max(last_seen) AS last_seen, sum(events)::bigint AS events
    FROM identity_map AS m JOIN activity USING (via)
    WHERE m.customer_id = ANY(CAST(CAST(:ids AS text) AS uuid[])) GROUP BY 1""")
_WRITE = text("""
    UPDATE customer AS c SET computed = coalesce(n.computed, c.computed), tags = n.tags, stage = n.stage, as_of = :now,
        first_seen = n.first_seen, last_seen = n.last_seen, events = n.events
    FROM (
        SELECT customer_id, computed, ARRAY(SELECT jsonb_array_elements_text(d.tags)) AS tags, stage,
               first_seen, last_seen, events
        FROM jsonb_to_recordset(CAST(:drafts AS jsonb)) AS d (customer_id uuid, computed jsonb, tags jsonb, stage text,
            first_seen timestamptz, last_seen timestamptz, events bigint)) AS n
    WHERE c.customer_id = n.customer_id""")

_number = operator.attrgetter("int")  # UUIDs compare slowly
Change = tuple[Mapping[str, Any], Mapping[str, Any]]


class Refreshed(NamedTuple):
    """What was and what is shown of customers of whom it changed, as it is stored; and those that are no more."""

    changes: dict[UUID, Change]
    gone: list[UUID]


async def refresh(
    session: WriteSession, customers: Collection[UUID], now: datetime, *, tell: bool = False
) -> Refreshed:
    """Write what customers show for their traits, and remove the rows of those that are no more.

    The customers are locked: nobody else writes their rows. Unless it should `tell`, a change is a pair of nothing.
    """
    values = {"ids": sorted(customers, key=_number), "now": now, "tell": tell}
    found = (await session.execute(_REFRESH, values)).all()
    gone = [row.id for row in found if not row.today]
    if gone:
        await session.execute(_FORGET, {"ids": gone})
    return Refreshed({row.id: (row.before, row.after) for row in found}, gone)


async def forget(session: WriteSession, customers: Iterable[UUID]) -> None:
    """Remove the rows of customers that are no more."""
    await session.execute(_FORGET, {"ids": list(customers)})


async def rows(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, Mapping[str, Any]]:
    """The rows as they are written."""
    found = await session.execute(_ROWS, {"ids": list(customers)})
    return {row["customer_id"]: dict(row) for row in found.mappings()}


async def seen(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, Seen]:
    """When customers were there; without those of whom there are no events."""
    found = await session.execute(_SEEN, {"ids": array(list(customers))})
    return {customer: Seen(first, last, events) for customer, first, last, events in found}


async def write(session: WriteSession, drafts: Sequence[Draft], now: datetime) -> None:
    """Write what was derived, and when the customers were seen."""
    documents = [
        {"customer_id": draft.id, "tags": draft.tags, "stage": draft.stage, **draft.seen._asdict()}
        | ({"computed": draft.computed} if draft.about is None else {})
        for draft in drafts
    ]
    await session.execute(_WRITE, {"drafts": json.dumps(documents, default=str), "now": now})
