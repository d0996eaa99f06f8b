"""The SQL of memberships."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.memberships.course import Heard

_HEAR = text("""
    INSERT INTO membership_event (id, plan, via, at, kind, source, payment, amount, order_amount, money, quantity,
                                  immediate, refund)
    SELECT * FROM unnest(
        CAST(:id AS uuid[]), CAST(:plan AS text[]), CAST(:via AS uuid[]), CAST(:at AS timestamptz[]),
        CAST(:kind AS text[]), CAST(:source AS text[]), CAST(:payment AS text[]), CAST(:amount AS numeric[]),
        CAST(:order_amount AS numeric[]), CAST(:money AS text[]), CAST(:quantity AS int[]),
        CAST(:immediate AS boolean[]), CAST(:refund AS text[]))
    ON CONFLICT DO NOTHING""")
_SAVE = text("""
    INSERT INTO member_saving AS s (id, via, by, at, discount, shipping, money)
    SELECT * FROM unnest(
        CAST(:id AS uuid[]), CAST(:via AS uuid[]), CAST(:by AS uuid[]), CAST(:at AS timestamptz[]),
        CAST(:discount AS numeric[]), CAST(:shipping AS numeric[]), CAST(:money AS text[]))
    ON CONFLICT (id) DO UPDATE SET
        via = excluded.via, by = excluded.by, at = excluded.at, discount = excluded.discount,
        shipping = excluded.shipping, money = excluded.money
    WHERE (excluded.at, excluded.by) < (s.at, s.by)""")
_UPSERT = text("""
    INSERT INTO membership AS m
        (customer_id, plan, state, since, until, ends_at, renews, refund_due, money, benefits, version)
    SELECT n.*, nextval('membership_version') FROM unnest(
        CAST(:customer_id AS uuid[]), CAST(:plan AS text[]), CAST(:state AS text[]), CAST(:since AS timestamptz[]),
        CAST(:until AS timestamptz[]), CAST(:ends_at AS timestamptz[]), CAST(:renews AS boolean[]),
        CAST(:refund_due AS numeric[]), CAST(:money AS text[]), CAST(:benefits AS jsonb[])) AS n
    ON CONFLICT (customer_id, plan) DO UPDATE SET
        state = excluded.state, since = excluded.since, until = excluded.until, ends_at = excluded.ends_at,
        renews = excluded.renews, refund_due = excluded.refund_due, money = excluded.money,
        benefits = excluded.benefits, version = excluded.version
    RETURNING customer_id, plan, version""")
_SAVINGS = text("""
    SELECT s.at, s.money, s.discount, s.shipping,
           coalesce((SELECT sum(r.amount) FROM refund r WHERE r.purchase_id = s.id), 0) AS refunded,
           EXISTS (SELECT FROM refund r WHERE r.purchase_id = s.id AND r.amount IS NULL) AS whole,
           coalesce(p.completed_amount, 0) AS amount
    FROM identity_map m JOIN member_saving s ON s.via = m.via LEFT JOIN purchase p ON p.id = s.id
    WHERE m.customer_id = :customer AND s.at >= :since AND s.at < :until""")
_PAGE = text("""
    SELECT * FROM membership
    WHERE (CAST(:plan AS text) IS NULL OR plan = :plan) AND (CAST(:state AS text) IS NULL OR state = :state)
      AND (CAST(:customer AS uuid) IS NULL OR (customer_id, plan) > (:customer, CAST(:last AS text)))
    ORDER BY customer_id, plan LIMIT :n""")


# Of customers: what was heard of them, and what went back of their payments, whoever said so. A payment is whose
# it was first.
_HEARD = """
    WITH mine AS (
        SELECT m.customer_id, e.* FROM identity_map m JOIN membership_event e ON e.via = m.via
        WHERE m.customer_id = ANY(CAST(:ids AS uuid[]))
    )
    SELECT e.customer_id, {names} FROM mine e
    WHERE e.kind <> 'paid' OR NOT EXISTS (
        SELECT FROM membership_event f
        WHERE f.source = e.source AND f.payment = e.payment AND f.plan = e.plan AND f.kind = 'paid'
          AND (f.at, f.id) < (e.at, e.id))
    UNION SELECT p.customer_id, {names} FROM mine p
    JOIN membership_event e ON e.source = p.source AND e.payment = p.payment AND e.plan IN (p.plan, '')
    WHERE p.kind = 'paid' AND e.kind = 'refunded'"""
_PAYERS = text("""
    SELECT DISTINCT e.via FROM unnest(CAST(:sources AS text[]), CAST(:payments AS text[])) AS n (source, payment)
    JOIN membership_event e ON e.source = n.source AND e.payment = n.payment AND e.kind = 'paid'""")


@dataclass(frozen=True)
class Saving:
    """What an order says was taken off its price and its shipping."""

    id: UUID
    via: UUID
    by: UUID
    at: datetime
    discount: Decimal
    shipping: Decimal
    money: str


@dataclass(frozen=True)
class State:
    """How a customer's membership of a plan stands."""

    customer_id: UUID
    plan: str
    state: str
    since: datetime
    until: datetime
    ends_at: datetime
    renews: bool
    refund_due: Decimal
    money: str
    benefits: list[dict[str, Any]]


def _columns(names: Iterable[str], rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in names}


async def hear(session: WriteSession, heard: Sequence[Heard]) -> None:
    """Keep what events say; the same event a second time changes nothing."""
    if heard:
        await session.execute(_HEAR, _columns(Heard.__dataclass_fields__, heard))


async def payers(session: ReadSession, heard: Sequence[Heard]) -> set[UUID]:
    """The identifiers under which the same payments were heard of."""
    told = {(item.source, item.payment) for item in heard if item.payment}
    bound = {"sources": [source for source, _ in told], "payments": [payment for _, payment in told]}
    return set((await session.execute(_PAYERS, bound)).scalars()) if told else set()


async def save(session: WriteSession, savings: Sequence[Saving]) -> None:
    """Keep what orders saved; of one order the earliest completion holds."""
    first: dict[UUID, Saving] = {}
    for item in savings:
        known = first.get(item.id)
        if known is None or (item.at, item.by) < (known.at, known.by):
            first[item.id] = item
    if first:
        await session.execute(_SAVE, _columns(Saving.__dataclass_fields__, [first[key] for key in sorted(first)]))


async def heard_of(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, list[Heard]]:
    """What was heard of each customer and of their payments, by the identifiers of today."""
    names = ", ".join(f"e.{name}" for name in Heard.__dataclass_fields__)
    rows = await session.execute(text(_HEARD.format(names=names)), {"ids": list(customers)})
    found: dict[UUID, list[Heard]] = {}
    for customer, *values in rows:
        found.setdefault(customer, []).append(Heard(**dict(zip(Heard.__dataclass_fields__, values, strict=True))))
    return found


async def states(session: ReadSession, customers: Collection[UUID]) -> dict[tuple[UUID, str], State]:
    """How memberships stand by what is written down."""
    names = ", ".join(State.__dataclass_fields__)
    rows = await session.execute(
        text(f"SELECT {names} FROM membership WHERE customer_id = ANY(CAST(:ids AS uuid[]))"),  # noqa: S608
        {"ids": list(customers)},
    )
    return {(row.customer_id, row.plan): State(*row) for row in rows}


async def write(session: WriteSession, states: Sequence[State]) -> dict[tuple[UUID, str], int]:
    """Write how memberships stand; returns the version of each."""
    if not states:
        return {}
    ordered = sorted(states, key=lambda item: (item.customer_id, item.plan))
    bound = _columns(State.__dataclass_fields__, ordered)
    rows = await session.execute(_UPSERT, {**bound, "benefits": [json.dumps(item.benefits) for item in ordered]})
    return {(row.customer_id, row.plan): row.version for row in rows}


async def remove(session: WriteSession, keys: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], int]:
    """Forget memberships of customers who have none any more; returns the version of each end."""
    if not keys:
        return {}
    rows = await session.execute(
        text("""DELETE FROM membership WHERE (customer_id, plan) IN
                (SELECT * FROM unnest(CAST(:customers AS uuid[]), CAST(:plans AS text[])))
                RETURNING customer_id, plan, nextval('membership_version') AS version"""),
        {"customers": [customer for customer, _ in keys], "plans": [plan for _, plan in keys]},
    )
    return {(row.customer_id, row.plan): row.version for row in rows}


async def savings(session: ReadSession, customer: UUID, since: datetime, until: datetime) -> list[Row[Any]]:
    """What the orders of a customer saved in a time, and what of each order was given back."""
    return list(await session.execute(_SAVINGS, {"customer": customer, "since": since, "until": until}))


async def page(
    session: ReadSession, after: tuple[UUID, str] | None, limit: int, *, plan: str | None, state: str | None
) -> list[Row[Any]]:
    """Memberships by customer and plan."""
    customer, last = after or (None, None)
    bound = {"plan": plan, "state": state, "customer": customer, "last": last, "n": limit}
    return list(await session.execute(_PAGE, bound))
