"""The SQL of referrals."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.referrals.course import Order, Signal, Touch, Touched

_TOUCH = text("""
    INSERT INTO referral_touch (id, via, code, kind, at)
    SELECT t.* FROM unnest(CAST(:id AS uuid[]), CAST(:via AS uuid[]), CAST(:code AS text[]), CAST(:kind AS text[]),
                           CAST(:at AS timestamptz[])) AS t (id, via, code, kind, at)
    JOIN referral_code c ON c.code = t.code
    ON CONFLICT DO NOTHING RETURNING via""")
_SIGNAL = text("""
    INSERT INTO referral_signal AS s (via, kind, digest, at)
    SELECT via, kind, digest, max(at) FROM unnest(
        CAST(:via AS uuid[]), CAST(:kind AS text[]), CAST(:digest AS bytea[]), CAST(:at AS timestamptz[])
    ) AS n (via, kind, digest, at) GROUP BY via, kind, digest ORDER BY via, kind, digest
    ON CONFLICT (via, kind, digest) DO UPDATE SET at = excluded.at WHERE s.at < excluded.at - interval '1 day'""")
_TOUCHES = text("""
    SELECT m.customer_id, t.id, t.at, t.code, c.via, coalesce(o.customer_id, c.via) = m.customer_id AS own
    FROM identity_map m JOIN referral_touch t ON t.via = m.via JOIN referral_code c ON c.code = t.code
    LEFT JOIN identity_map o ON o.via = c.via WHERE m.customer_id = ANY(CAST(:ids AS uuid[]))""")
_ORDERS = text("""
    SELECT m.customer_id, p.id, p.via, p.completed_at,
           coalesce(CASE WHEN p.updated_at >= p.completed_at THEN p.updated_amount END, p.completed_amount, 0)
               AS amount,
           r.at, r.amount AS back, r.purchase_id IS NOT NULL AS refunded
    FROM identity_map m JOIN purchase p ON p.via = m.via LEFT JOIN refund r ON r.purchase_id = p.id
    WHERE m.customer_id = ANY(CAST(:ids AS uuid[])) AND p.completed_at IS NOT NULL""")
_SHOWN = """
    SELECT r.*, coalesce(m.customer_id, r.via) AS customer_id, coalesce(f.customer_id, r.friend) AS friend_id
    FROM referral r LEFT JOIN identity_map m ON m.via = r.via LEFT JOIN identity_map f ON f.via = r.friend"""
_OF_FRIENDS = text(f"""
    {_SHOWN} WHERE r.friend IN (SELECT via FROM identity_map WHERE customer_id = ANY(CAST(:ids AS uuid[])))
    ORDER BY r.qualified_at, r.id""")  # noqa: S608 (constants)
_ASKED = """
    WITH asked AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:customers AS uuid[]), CAST(:friends AS uuid[]),
                             CAST(:ats AS timestamptz[]), CAST(:spans AS interval[]))
            AS a (id, customer, friend, at, span)
    )"""
# What the friend has in common with the referrer, or with another friend of the same referrer.
_COMMON = text(f"""
    {_ASKED}, side AS (
        SELECT DISTINCT a.customer, m.via FROM asked a JOIN identity_map m ON m.customer_id = a.customer
    ), theirs AS (
        SELECT customer, via, customer AS person FROM side
        UNION
        SELECT s.customer, g.via, g.customer_id FROM side s
        JOIN referral r ON r.via = s.via JOIN identity_map f ON f.via = r.friend
        JOIN identity_map g ON g.customer_id = f.customer_id
    ), known AS MATERIALIZED (
        SELECT t.customer, t.person, o.kind, o.digest FROM theirs t JOIN referral_signal o ON o.via = t.via
    )
    SELECT DISTINCT a.id, s.kind FROM asked a JOIN identity_map m ON m.customer_id = a.friend
    JOIN referral_signal s ON s.via = m.via
    JOIN known k ON k.customer = a.customer AND k.person <> a.friend AND k.kind = s.kind AND k.digest = s.digest""")  # noqa: S608
_PACE = text(f"""
    {_ASKED} SELECT a.id, count(*) AS friends FROM asked a JOIN identity_map m ON m.customer_id = a.customer
    JOIN referral r ON r.via = m.via AND r.state <> 'void' AND r.qualified_at <= a.at AND r.qualified_at > a.at - a.span
    GROUP BY a.id""")  # noqa: S608
_ADD = text("""
    INSERT INTO referral (id, purchase_id, code, via, friend, touched_at, qualified_at, due_at, amount, rewards, state,
                          reasons)
    SELECT n.*, 'pending', '{}' FROM unnest(
        CAST(:id AS uuid[]), CAST(:purchase_id AS uuid[]), CAST(:code AS text[]), CAST(:via AS uuid[]),
        CAST(:friend AS uuid[]), CAST(:touched_at AS timestamptz[]), CAST(:qualified_at AS timestamptz[]),
        CAST(:due_at AS timestamptz[]), CAST(:amount AS numeric[]), CAST(:rewards AS jsonb[])) AS n
    ON CONFLICT (id) DO UPDATE SET
        code = excluded.code, via = excluded.via, touched_at = excluded.touched_at, amount = excluded.amount,
        rewards = excluded.rewards""")
_MOVE = text("""
    UPDATE referral r SET state = n.state, reasons = string_to_array(n.reasons, ' '), booked = n.state = 'rewarded',
        round = r.round + CASE WHEN r.booked AND n.state <> 'rewarded' THEN 1 ELSE 0 END, version = r.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[])) AS n (id, state, reasons)
    WHERE r.id = n.id""")
_PAGE = text(f"""
    {_SHOWN} WHERE (CAST(:state AS text) IS NULL OR r.state = :state)
      AND (CAST(:customer AS uuid) IS NULL
           OR r.via IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer)
           OR r.friend IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer))
      AND (CAST(:at AS timestamptz) IS NULL OR (r.qualified_at, r.id) < (:at, CAST(:id AS uuid)))
    ORDER BY r.qualified_at DESC, r.id DESC LIMIT :n""")  # noqa: S608
_STATS = text("""
    SELECT (SELECT count(DISTINCT coalesce(f.customer_id, t.via)) FROM identity_map m
            JOIN referral_code c ON c.via = m.via JOIN referral_touch t ON t.code = c.code
            LEFT JOIN identity_map f ON f.via = t.via WHERE m.customer_id = :customer
              AND coalesce(f.customer_id, t.via) <> :customer) AS came,
           count(*) FILTER (WHERE r.state IN ('pending', 'held')) AS waiting,
           count(*) FILTER (WHERE r.state = 'rewarded') AS rewarded
    FROM identity_map m JOIN referral r ON r.via = m.via WHERE m.customer_id = :customer""")
_BROUGHT = text("""
    SELECT DISTINCT ON (f.customer_id) m.customer_id AS parent_id, f.customer_id, r.id AS referral_id, r.state
    FROM identity_map m JOIN referral r ON r.via = m.via JOIN identity_map f ON f.via = r.friend
    WHERE m.customer_id = ANY(CAST(:parents AS uuid[])) AND r.state <> 'void'
      AND NOT f.customer_id = ANY(CAST(:seen AS uuid[]))
    ORDER BY f.customer_id, r.qualified_at, r.id LIMIT :n""")
_GIVEN = text("""
    SELECT g.currency, CAST(sum(g.points) AS bigint) AS points
    FROM identity_map m JOIN referral r ON r.via = m.via AND r.state = 'rewarded'
    CROSS JOIN LATERAL jsonb_to_recordset(r.rewards) AS g (side text, currency text, points bigint)
    WHERE m.customer_id = :customer AND g.side = 'referrer' GROUP BY g.currency ORDER BY g.currency""")


@dataclass(frozen=True)
class Made:
    """A referral as it begins."""

    id: UUID
    purchase_id: UUID
    code: str
    via: UUID
    friend: UUID
    touched_at: datetime
    qualified_at: datetime
    due_at: datetime
    amount: Decimal
    rewards: list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """Two sides of which the guards ask what they have in common."""

    id: UUID
    customer: UUID
    friend: UUID
    at: datetime
    days: int


def _columns(names: Iterable[str], rows: Sequence[Any]) -> dict[str, list[Any]]:
    return {name: [getattr(row, name) for row in rows] for name in names}


async def touch(session: WriteSession, touches: Sequence[Touch]) -> set[UUID]:
    """Keep touches with codes that there are; returns whose were new."""
    if not touches:
        return set()
    return set((await session.execute(_TOUCH, _columns(Touch.__dataclass_fields__, touches))).scalars())


async def signal(session: WriteSession, signals: Sequence[Signal]) -> None:
    """Keep what tells one person from another."""
    if signals:
        await session.execute(_SIGNAL, _columns(Signal.__dataclass_fields__, signals))


async def touches(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, list[Touched]]:
    """The touches of each customer."""
    found: dict[UUID, list[Touched]] = {}
    for row in await session.execute(_TOUCHES, {"ids": list(customers)}):
        found.setdefault(row.customer_id, []).append(Touched(row.id, row.at, row.code, row.via, row.own))
    return found


async def orders(session: ReadSession, customers: Collection[UUID]) -> dict[UUID, list[Order]]:
    """The orders of each customer, with what was given back of them."""
    found: dict[UUID, dict[UUID, tuple[Any, list[tuple[datetime, Decimal | None]]]]] = {}
    for row in await session.execute(_ORDERS, {"ids": list(customers)}):
        _, refunds = found.setdefault(row.customer_id, {}).setdefault(row.id, (row, []))
        if row.refunded:
            refunds.append((row.at, row.back))
    return {
        customer: [
            Order(row.id, row.via, row.completed_at, row.amount, tuple(refunds)) for row, refunds in mine.values()
        ]
        for customer, mine in found.items()
    }


async def of_friends(session: ReadSession, customers: Collection[UUID]) -> list[Row[Any]]:
    """The referrals in which these customers are the friends."""
    return list(await session.execute(_OF_FRIENDS, {"ids": list(customers)}))


def _asked(asked: Sequence[Asked]) -> dict[str, list[Any]]:
    return {
        "ids": [item.id for item in asked],
        "customers": [item.customer for item in asked],
        "friends": [item.friend for item in asked],
        "ats": [item.at for item in asked],
        "spans": [timedelta(days=item.days) for item in asked],
    }


async def common(session: ReadSession, asked: Sequence[Asked]) -> set[tuple[UUID, str]]:
    """What kinds of things both sides have the same of, by referral."""
    return {(row.id, row.kind) for row in await session.execute(_COMMON, _asked(asked))}


async def pace(session: ReadSession, asked: Sequence[Asked]) -> dict[UUID, int]:
    """How many friends the referrer of each had brought within the days before it, itself included."""
    return {row.id: row.friends for row in await session.execute(_PACE, _asked(asked))}


async def add(session: WriteSession, made: Sequence[Made]) -> None:
    """Begin referrals, or let ones that nobody was rewarded for begin anew."""
    if made:
        bound = _columns(Made.__dataclass_fields__, made)
        await session.execute(_ADD, {**bound, "rewards": [json.dumps(item.rewards) for item in made]})


async def move(session: WriteSession, moves: Sequence[tuple[UUID, str, Sequence[str]]]) -> None:
    """Bring referrals to other states."""
    if moves:
        await session.execute(
            _MOVE,
            {
                "ids": [key for key, _, _ in moves],
                "states": [state for _, state, _ in moves],
                "reasons": [" ".join(reasons) for _, _, reasons in moves],
            },
        )


async def mature(session: WriteSession, ids: Collection[UUID]) -> list[UUID]:
    """Note that the return window of referrals is over; returns their friends."""
    rows = await session.execute(
        text("UPDATE referral SET matured = true WHERE id = ANY(CAST(:ids AS uuid[])) RETURNING friend"),
        {"ids": list(ids)},
    )
    return list(rows.scalars())


async def decide(
    session: WriteSession, referral_id: UUID, decision: str, who: str, at: datetime, note: str | None
) -> None:
    """Note what somebody decided."""
    await session.execute(
        text("""UPDATE referral SET decision = :decision, decided_by = :who, decided_at = :at, note = :note
                WHERE id = :id"""),
        {"id": referral_id, "decision": decision, "who": who, "at": at, "note": note},
    )


async def get(session: ReadSession, ids: Collection[UUID]) -> list[Row[Any]]:
    """Referrals by id."""
    statement = text(f"{_SHOWN} WHERE r.id = ANY(CAST(:ids AS uuid[])) ORDER BY r.id")
    return list(await session.execute(statement, {"ids": list(ids)}))


async def page(
    session: ReadSession, after: tuple[datetime, UUID] | None, limit: int, *, state: str | None, customer: UUID | None
) -> list[Row[Any]]:
    """Referrals, the newest first; of a customer those on either side."""
    at, last = after or (None, None)
    bound = {"state": state, "customer": customer, "at": at, "id": last, "n": limit}
    return list(await session.execute(_PAGE, bound))


async def code_of(session: ReadSession, customer: UUID) -> str | None:
    """The oldest code of a customer."""
    found = await session.execute(
        text("""SELECT c.code FROM referral_code c
                WHERE c.via IN (SELECT via FROM identity_map WHERE customer_id = :customer UNION SELECT :customer)
                ORDER BY c.made_at, c.code LIMIT 1"""),
        {"customer": customer},
    )
    code: str | None = found.scalar_one_or_none()
    return code


async def issue(session: WriteSession, via: UUID, code: str, at: datetime) -> bool:
    """Give an identifier a code; False when it has one, or somebody else has this."""
    found = await session.execute(
        text("""INSERT INTO referral_code (code, via, made_at) VALUES (:code, :via, :at)
                ON CONFLICT DO NOTHING RETURNING 1"""),
        {"code": code, "via": via, "at": at},
    )
    return found.scalar_one_or_none() is not None


async def stats(session: ReadSession, customer: UUID) -> Row[Any]:
    """How many came by a customer's codes, and what became of it."""
    return (await session.execute(_STATS, {"customer": customer})).one()


async def given(session: ReadSession, customer: UUID) -> dict[str, int]:
    """The points that a customer has for friends, by currency."""
    return {row.currency: row.points for row in await session.execute(_GIVEN, {"customer": customer})}


async def brought(
    session: ReadSession, parents: Collection[UUID], seen: Collection[UUID], limit: int
) -> list[Row[Any]]:
    """Whom customers brought, those already seen left out."""
    bound = {"parents": list(parents), "seen": list(seen), "n": limit}
    return list(await session.execute(_BROUGHT, bound))
