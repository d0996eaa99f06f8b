"""What posts: postings, the lots that they bring, the accounts that they change."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array, arrays
from perennial.loyalty.points import copying
from perennial.loyalty.points.posting import Lot, Posting

MANY = 100
"""From so many on, accounts are changed by one statement, and postings and lots are copied; fewer are one statement."""

_ACCOUNTS = """
    INSERT INTO account AS a (via, currency, balance, pending, earned, spent, reversed, expired, adjusted)
    SELECT via, currency, sum(points), sum(pending),
           coalesce(sum(points + pending) FILTER (WHERE kind = 'earn'), 0),
           coalesce(-sum(points) FILTER (WHERE kind IN ('spend', 'return')), 0),
           coalesce(-sum(points + pending) FILTER (WHERE kind = 'reverse'), 0),
           coalesce(-sum(points + pending) FILTER (WHERE kind = 'expire'), 0),
           coalesce(sum(points + pending) FILTER (WHERE kind = 'adjust'), 0)
    FROM p GROUP BY via, currency ORDER BY via, currency
    ON CONFLICT (via, currency) DO UPDATE SET
        balance = a.balance + excluded.balance, pending = a.pending + excluded.pending,
        earned = a.earned + excluded.earned, spent = a.spent + excluded.spent,
        reversed = a.reversed + excluded.reversed, expired = a.expired + excluded.expired,
        adjusted = a.adjusted + excluded.adjusted, version = a.version + 1
    RETURNING a.via, a.currency, a.balance, a.pending, a.version"""
_CHANGE = f"""
    WITH p AS MATERIALIZED (
        SELECT * FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::bigint[],
                             $5::text::bigint[]) AS p (via, currency, kind, points, pending)
    ) {_ACCOUNTS}"""  # noqa: S608 (constants of ours)
# A posting with `qualifies` brings a lot, which bears its id.
_POST = f"""
    WITH p AS MATERIALIZED (
        SELECT * FROM unnest(
            $1::text::uuid[], $2::text[], $3::text::uuid[], $4::text::timestamptz[], $5::bigint[], $6::bigint[],
            $7::text[], $8::text[], $9::text::uuid[], $10::text[], $11::text::uuid[],
            $12::boolean[], $13::text::uuid[], $14::text::timestamptz[], $15::text::timestamptz[]
        ) AS p (id, kind, via, at, points, pending, reason, reference, lot_id, currency, returns,
                qualifies, purchase_id, active_at, expires_at)
    ), posted AS (
        INSERT INTO posting (id, kind, via, currency, at, points, pending, reason, reference, returns, lot_id)
        SELECT id, kind, via, currency, at, points, pending, reason, reference, returns, lot_id FROM p
    ), brought AS (
        INSERT INTO lot (id, posting_id, via, currency, purchase_id, points, state, qualifies, earned_at, active_at,
                         expires_at)
        SELECT id, id, via, currency, purchase_id, points + pending,
               CASE WHEN pending > 0 THEN 'pending' ELSE 'active' END, qualifies, at, active_at, expires_at
        FROM p WHERE qualifies IS NOT NULL
    ) {_ACCOUNTS}"""  # noqa: S608


async def post(session: WriteSession, postings: Sequence[Posting], lots: Sequence[Lot] = ()) -> list[asyncpg.Record]:
    """Write postings, the lots that they bring, and the accounts; returns those, one row each.

    Raises ValueError for a lot without the posting of its id.
    """
    brought: dict[int, Lot] = {lot.id.int: lot for lot in lots}  # by the integer: hashing a UUID is slow
    if brought.keys() - {item.id.int for item in postings}:
        msg = "a lot comes with the posting that bears its id"
        raise ValueError(msg)
    if not postings:
        return []
    if len(postings) < MANY:
        return await _at_once(session, [_row(item, brought.get(item.id.int)) for item in postings])
    rows = await _change(session, postings)  # before what may be there already: so everybody waits at the accounts
    await copying.add(session, postings, lots)
    return rows


async def _at_once(session: WriteSession, rows: Iterable[tuple[Any, ...]]) -> list[asyncpg.Record]:
    (ids, kinds, vias, ats, points, pending, reasons, references, of_lots, currencies, returns,
     qualifies, purchases, active, expires) = zip(*rows, strict=True)  # fmt: skip
    return await (await raw(session)).fetch(
        _POST, array(ids), kinds, array(vias), array(ats), points, pending, reasons, references, array(of_lots),
        currencies, array(returns), qualifies, array(purchases), array(active), array(expires),
    )  # fmt: skip


def _row(item: Posting, lot: Lot | None) -> tuple[Any, ...]:
    brings = (None,) * 4 if lot is None else (lot.qualifies, lot.purchase_id, lot.active_at, lot.expires_at)
    return (
        item.id, item.kind, item.via, item.at, item.points, item.pending, item.reason, item.reference, item.lot_id,
        item.currency, item.returns, *brings,
    )  # fmt: skip


async def _change(session: WriteSession, postings: Iterable[Posting]) -> list[asyncpg.Record]:
    moved = [(item.via, item.currency, item.kind, item.points, item.pending) for item in postings]
    return await (await raw(session)).fetch(_CHANGE, *arrays(moved))
