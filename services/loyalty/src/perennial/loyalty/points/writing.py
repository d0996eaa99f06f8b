"""What posts: postings, the lots that they bring, the accounts that they change; many postings by COPY."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array
from perennial.common.db.copying import NULL, copy, instant, word
from perennial.loyalty.points.posting import Lot, Posting

MANY = 100

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
    ){_ACCOUNTS}"""  # noqa: S608 (constants)
_CHANGE = f"""
    WITH p AS MATERIALIZED (
        SELECT * FROM unnest($1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::bigint[],
                             $5::text::bigint[]) AS p (via, currency, kind, points, pending)
    ){_ACCOUNTS}"""  # noqa: S608
_POSTING = ("id", "kind", "via", "currency", "at", "points", "pending", "reason", "reference", "returns", "lot_id")
_LOT = ("id", "posting_id", "via", "currency", "purchase_id", "points", "state", "qualifies", "earned_at", "active_at",
        "expires_at")  # fmt: skip
_NUMBER = struct.pack(">h", 11)  # of columns, in either
_UUID = struct.pack(">i", 16)
_WHOLE = struct.Struct(">iq").pack
_WHOLES = struct.Struct(">iqiqiq").pack
_YES, _NO = b"\0\0\0\1\1", b"\0\0\0\1\0"


async def post(session: WriteSession, postings: Sequence[Posting], lots: Sequence[Lot] = ()) -> list[asyncpg.Record]:
    """Write postings, the lots that they bring, and the accounts; returns those, one row each.

    Raises ValueError for a lot without the posting of its id.
    """
    brought: dict[int, Lot] = {lot.id.int: lot for lot in lots}  # by the integer: hashing a UUID is slow
    pairs = [(item, brought.pop(item.id.int, None)) for item in postings]
    if brought:
        msg = "a lot comes with the posting that bears its id"
        raise ValueError(msg)
    if not pairs:
        return []
    return await (_copied if len(pairs) >= MANY else _inserted)(session, pairs)


async def _inserted(session: WriteSession, pairs: Iterable[tuple[Posting, Lot | None]]) -> list[asyncpg.Record]:
    """By one statement."""
    (ids, kinds, vias, ats, points, pending, reasons, references, of_lots, currencies, returns,
     qualifies, purchases, active, expires) = zip(*(_row(item, lot) for item, lot in pairs), strict=True)  # fmt: skip
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


async def _copied(session: WriteSession, pairs: Sequence[tuple[Posting, Lot | None]]) -> list[asyncpg.Record]:
    """By three: rows that are new cost the least so."""
    await copy(session, "posting", _POSTING, (_posting(item) for item, _ in pairs))
    await copy(session, "lot", _LOT, _lots(pairs))
    columns = zip(*((item.via, item.currency, item.kind, item.points, item.pending) for item, _ in pairs), strict=True)
    return await (await raw(session)).fetch(_CHANGE, *map(array, columns))


def _posting(item: Posting) -> Iterable[bytes]:
    return (
        _NUMBER, _uuid(item.id), word(item.kind), _uuid(item.via), word(item.currency),
        _WHOLES(8, instant(item.at), 8, item.points, 8, item.pending), word(item.reason), word(item.reference),
        _uuid(item.returns), _uuid(item.lot_id),
    )  # fmt: skip


def _lots(pairs: Iterable[tuple[Posting, Lot | None]]) -> Iterator[Iterable[bytes]]:
    for item, lot in pairs:
        if lot is not None:
            key, state = _uuid(item.id), "pending" if item.pending > 0 else "active"
            yield (
                _NUMBER, key, key, _uuid(item.via), word(item.currency), _uuid(lot.purchase_id),
                _WHOLE(8, item.points + item.pending), word(state), _YES if lot.qualifies else _NO,
                _WHOLE(8, instant(item.at)), _WHOLE(8, instant(lot.active_at)),
                NULL if lot.expires_at is None else _WHOLE(8, instant(lot.expires_at)),
            )  # fmt: skip


def _uuid(value: UUID | None) -> bytes:
    return NULL if value is None else _UUID + value.int.to_bytes(16)
