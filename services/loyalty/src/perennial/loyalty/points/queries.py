"""The ledger's SQL, but for what posts. Whoever posts locks accounts by `via`, ascending, and lots after them."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Row, Uuid, any_, literal, select, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.arrays import arrays
from perennial.loyalty.points.models import lot
from perennial.loyalty.points.posting import Lot, Posting
from perennial.loyalty.points.settling import Source, Spending, Uses

_CUT = text("""
    UPDATE lot SET reversed = lot.reversed + c.reversed, expired = lot.expired + c.expired
    FROM unnest(CAST(:ids AS uuid[]), CAST(:reversed AS bigint[]), CAST(:expired AS bigint[]))
        AS c (id, reversed, expired)
    WHERE lot.id = c.id""")
_SPEND = text("""
    SELECT * FROM spend(:id, :who, :anybody, :swept, :version, :since, :currency, :points, :at, :reason, :reference)""")
_BROUGHT = text(f"""
    SELECT l.* FROM unnest(CAST(CAST(:ids AS text) AS uuid[]), CAST(CAST(:vias AS text) AS uuid[]),
                           CAST(CAST(:since AS text) AS timestamptz[])) AS o (id, via, since)
    CROSS JOIN LATERAL (
        SELECT {", ".join(Lot.__struct_fields__)} FROM lot
        WHERE lot.via = o.via AND lot.earned_at >= o.since AND lot.purchase_id = o.id
        OFFSET 0  -- or Postgres, by old statistics, begins with all lots
    ) AS l ORDER BY l.state DESC, l.earned_at DESC, l.id""")  # noqa: S608 (names of ours)
Wallet = tuple[UUID, str]
"""A customer's account in one currency."""

_LOT = select(*(lot.c[name] for name in Lot.__struct_fields__))


def _any(ids: Collection[UUID]) -> ColumnElement[bool]:
    return any_(literal(list(ids), ARRAY(Uuid)))


async def cut_lots(session: WriteSession, postings: Iterable[Posting]) -> None:
    """Note on the lots what reversals and expiries took of them."""
    taken: dict[UUID, dict[str, int]] = {}
    for item in postings:
        if item.lot_id is not None:
            of_lot = taken.setdefault(item.lot_id, {"reverse": 0, "expire": 0})
            of_lot[item.kind] -= item.points + item.pending
    if taken:
        ids = sorted(taken)
        reversals, expiries = [taken[key]["reverse"] for key in ids], [taken[key]["expire"] for key in ids]
        await session.execute(_CUT, {"ids": ids, "reversed": reversals, "expired": expiries})


async def lock_accounts(session: WriteSession, vias: Collection[UUID]) -> None:
    """Hold accounts until the transaction ends, so that what lots are left of them stays as it is."""
    await session.execute(
        text("SELECT FROM account WHERE via = ANY(:vias) ORDER BY via, currency FOR UPDATE"), {"vias": list(set(vias))}
    )


async def lots_of_purchases(
    session: ReadSession, purchases: Iterable[tuple[UUID, UUID, datetime]]
) -> dict[UUID, list[Lot]]:
    """The lots that orders brought, in the sequence of taking back: what is pending first, then the newest.

    Orders are given by id, `via`, and the time of their completion.
    """
    found: dict[UUID, list[Lot]] = {}
    ids, vias, since = arrays(purchases) or ("{}",) * 3
    chosen = await session.execute(_BROUGHT, {"ids": ids, "vias": vias, "since": since})
    for row in chosen.mappings():
        found.setdefault(row["purchase_id"], []).append(Lot(**row))
    return found


async def spend(
    session: WriteSession, posting: Posting, *, anybody: bool = False,
    programme: tuple[int, datetime | None] | None = None, swept: bool = False,
) -> Row[Any]:  # fmt: skip
    """One round trip: find who spends, lock the customer's accounts, look whether the points are there, post, mark.

    `anybody`: `posting.via` is a customer's id, an old one too, and today's customer spends. `programme` is the version
    that must be in force, with its beginning. `swept`: what has expired was seen to. Returns `outcome` (posted,
    insufficient, repeated, unknown, programme, expired), `customer`, `available` (after it), the account that spent.
    """
    version, since = programme or (None, None)
    found = await session.execute(
        _SPEND,
        {
            "id": posting.id,
            "who": posting.via,
            "anybody": anybody,
            "swept": swept,
            "version": version,
            "since": since,
            "currency": posting.currency,
            "points": -posting.points,
            "at": posting.at,
            "reason": posting.reason,
            "reference": posting.reference,
        },
    )
    return found.one()


async def is_posted(session: ReadSession, posting_id: UUID) -> bool:
    """Whether the ledger has this posting."""
    found = await session.execute(text("SELECT EXISTS (SELECT FROM posting WHERE id = :id)"), {"id": posting_id})
    return bool(found.scalar_one())


async def pending_lots(session: ReadSession, now: datetime, limit: int) -> list[Lot]:
    """Lots whose waiting time is over."""
    waiting = _LOT.where(lot.c.state == "pending", lot.c.active_at <= now).order_by(lot.c.active_at, lot.c.id)
    return [Lot(**row) for row in (await session.execute(waiting.limit(limit))).mappings()]


async def activate_lots(session: WriteSession, ids: Collection[UUID]) -> None:
    """Let lots be spent."""
    await session.execute(text("UPDATE lot SET state = 'active' WHERE id = ANY(:ids)"), {"ids": list(ids)})


async def lots(session: ReadSession, ids: Collection[UUID]) -> list[Lot]:
    """Lots by id."""
    found = await session.execute(_LOT.where(lot.c.id == _any(ids)).order_by(lot.c.id))
    return [Lot(**row) for row in found.mappings()]


async def due_lots(session: ReadSession, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Lots past their expiry that nobody has swept yet, with their `via`."""
    rows = await session.execute(
        text("""SELECT id, via FROM lot WHERE NOT swept AND state = 'active' AND expires_at <= :now
                ORDER BY expires_at, id LIMIT :n"""),
        {"now": now, "n": limit},
    )
    return [(row.id, row.via) for row in rows]


async def due_lots_of(session: ReadSession, via: UUID, now: datetime) -> list[tuple[UUID, UUID]]:
    """The same of one customer, whom an identifier names."""
    rows = await session.execute(
        text("""SELECT id, via FROM lot
                WHERE via IN (SELECT o.via FROM identity_map m JOIN identity_map o ON o.customer_id = m.customer_id
                              WHERE m.via = :via UNION ALL SELECT CAST(:via AS uuid))
                  AND NOT swept AND state = 'active' AND expires_at <= :now ORDER BY expires_at, id"""),
        {"via": via, "now": now},
    )
    return [(row.id, row.via) for row in rows]


async def sweep_lots(session: WriteSession, ids: Collection[UUID]) -> None:
    """Note that the expiry of lots has been posted."""
    await session.execute(text("UPDATE lot SET swept = true WHERE id = ANY(:ids)"), {"ids": list(ids)})


async def reopen_lots(session: WriteSession, customers: Collection[UUID]) -> None:
    """Have expired lots swept again of which something stands unused, because another spending uses them now."""
    await session.execute(
        text("""UPDATE lot l SET swept = false FROM identity_map m
                WHERE m.customer_id = ANY(:ids) AND l.via = m.via AND l.swept
                  AND l.points - l.reversed - l.expired
                      > coalesce((SELECT sum(u.points) FROM lot_use u WHERE u.lot_id = l.id), 0)"""),
        {"ids": list(customers)},
    )


async def spendings(session: ReadSession, customers: Collection[UUID]) -> dict[Wallet, list[Spending]]:
    """What was taken from customers as a whole; of what was given back, nothing."""
    rows = await session.execute(
        text("""SELECT m.customer_id, s.currency, s.id, s.at, s.points
                FROM identity_map m CROSS JOIN LATERAL (
                    SELECT p.currency, p.id, p.at,
                           CASE WHEN EXISTS (SELECT FROM posting r WHERE r.returns = p.id) THEN 0
                                ELSE -p.points END AS points
                    FROM posting p WHERE p.via = m.via AND p.lot_id IS NULL AND p.returns IS NULL
                    OFFSET 0  -- or Postgres begins with all spendings there are
                ) AS s WHERE m.customer_id = ANY(:ids)"""),
        {"ids": list(customers)},
    )
    found: dict[Wallet, list[Spending]] = {}
    for row in rows:
        found.setdefault((row.customer_id, row.currency), []).append(Spending(row.id, row.points, row.at))
    return found


async def sources(session: ReadSession, customers: Collection[UUID]) -> dict[Wallet, list[Source]]:
    """The lots of customers that can be spent, as far as they stand."""
    rows = await session.execute(
        text("""SELECT m.customer_id, l.currency, l.id, l.points, l.active_at, l.expires_at
                FROM identity_map m CROSS JOIN LATERAL (
                    SELECT currency, id, points - reversed - expired AS points, active_at, expires_at FROM lot
                    WHERE via = m.via AND state = 'active' AND points > reversed + expired
                    OFFSET 0  -- or Postgres, to whom few lots seem to stand, begins with all of them
                ) AS l WHERE m.customer_id = ANY(:ids)"""),
        {"ids": list(customers)},
    )
    found: dict[Wallet, list[Source]] = {}
    for row in rows:
        found.setdefault((row.customer_id, row.currency), []).append(
            Source(row.id, row.points, row.active_at, row.expires_at)
        )
    return found


async def uses_of(session: ReadSession, spending_ids: Collection[UUID]) -> Uses:
    """The uses that spendings have now."""
    rows = await session.execute(
        text("SELECT posting_id, lot_id, points FROM lot_use WHERE posting_id = ANY(:ids)"), {"ids": list(spending_ids)}
    )
    return {(row.posting_id, row.lot_id): row.points for row in rows}


async def used(session: ReadSession, lot_ids: Collection[UUID]) -> dict[UUID, int]:
    """What has been used of lots."""
    rows = await session.execute(
        text("""SELECT lot_id, CAST(sum(points) AS bigint) AS points FROM lot_use
                WHERE lot_id = ANY(:ids) GROUP BY lot_id"""),
        {"ids": list(lot_ids)},
    )
    return {row.lot_id: row.points for row in rows}


async def replace_uses(session: WriteSession, old: Mapping[tuple[UUID, UUID], int], new: Uses) -> None:
    """Write what differs."""
    gone = [key for key, points in old.items() if new.get(key) != points]
    made = [key for key, points in new.items() if old.get(key) != points]
    if gone:
        await session.execute(
            text("""DELETE FROM lot_use WHERE (posting_id, lot_id) IN
                    (SELECT * FROM unnest(CAST(:postings AS uuid[]), CAST(:lots AS uuid[])))"""),
            {"postings": [key[0] for key in gone], "lots": [key[1] for key in gone]},
        )
    if made:
        await session.execute(
            text("""INSERT INTO lot_use (posting_id, lot_id, points) SELECT * FROM
                    unnest(CAST(:postings AS uuid[]), CAST(:lots AS uuid[]), CAST(:points AS bigint[]))"""),
            {
                "postings": [key[0] for key in made],
                "lots": [key[1] for key in made],
                "points": [new[key] for key in made],
            },
        )
