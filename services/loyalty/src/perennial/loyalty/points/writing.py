"""The one statement that posts: postings, the lots that they bring, the accounts that they change."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array
from perennial.loyalty.points.posting import Lot, Posting

# A posting with `qualifies` brings a lot, which bears its id.
_POST = """
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
    )
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


async def post(session: WriteSession, postings: Sequence[Posting], lots: Sequence[Lot] = ()) -> list[asyncpg.Record]:
    """Write postings, the lots that they bring, and the accounts; returns those, one row each.

    Raises ValueError for a lot without the posting of its id.
    """
    brought: dict[int, Lot] = {lot.id.int: lot for lot in lots}  # by the integer: hashing a UUID is slow
    rows = [_row(item, brought.pop(item.id.int, None)) for item in postings]
    if brought:
        msg = "a lot comes with the posting that bears its id"
        raise ValueError(msg)
    if not rows:
        return []
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
