"""Many new orders at once by COPY, which looks for no conflict; a savepoint takes it back where there is one."""

import json
import struct
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

import asyncpg
import msgspec

from perennial.common.db import WriteSession, raw
from perennial.common.db.copying import NULL, copy, instant, word
from perennial.loyalty.orders.facts import Points, Purchase, Stated

COLUMNS = (
    "id", "source", "via", "order_id", "completed_at", "completed_by", "completed_amount", "completed_points",
    "completed_told", "earned", "delivered_at", "released_at", "updated_at", "updated_by", "updated_amount",
    "updated_points", "updated_told",
)  # fmt: skip
_UUID = struct.pack(">i", 16)
_NAMED = struct.Struct(">hi16s").pack
_MOMENT = struct.Struct(">iqi16s").pack  # when and by which event
_INSTANT = struct.Struct(">iq").pack
_LENGTH = struct.Struct(">i").pack
_CENTS = struct.Struct(">i6H").pack
_NOWHERE = NULL * 5
BASE = 10_000  # of Postgres' digits
_word = lru_cache(256)(word)
_encode = msgspec.json.Encoder().encode


async def add(session: WriteSession, purchases: Sequence[Purchase]) -> bool:
    """Add orders of which nothing has been reversed yet; False, and nothing is done, where somebody has heard of one.

    What waits for another transaction to end waits here, and is found out then.
    """
    try:
        async with (await raw(session)).transaction():
            await copy(session, "purchase", COLUMNS, map(_row, purchases))
    except asyncpg.UniqueViolationError:
        return False
    return True


def _row(item: Purchase) -> Iterable[bytes]:
    completed, earned = item.completed, item.earned
    points = None if completed is None else completed.points
    said = NULL if points is None else _points(points)
    return (
        _NAMED(len(COLUMNS), 16, item.id.int.to_bytes(16)), _word(item.source), _uuid(item.via), word(item.order_id),
        _stated(completed, said), said if earned is points else _points(earned), _at(item.delivered_at),
        _at(item.released_at),
        _NOWHERE if item.updated is None else _stated(item.updated, _points(item.updated.points)),
    )  # fmt: skip


def _stated(stated: Stated | None, points: bytes) -> bytes:
    if stated is None:
        return _NOWHERE
    told = NULL if stated.told is None else _json(json.dumps(stated.told).encode())
    return _MOMENT(8, instant(stated.at), 16, stated.by.int.to_bytes(16)) + numeric(stated.amount) + points + told


def _uuid(value: UUID | None) -> bytes:
    return NULL if value is None else _UUID + value.int.to_bytes(16)


def _at(at: datetime | None) -> bytes:
    return NULL if at is None else _INSTANT(8, instant(at))


def _points(points: Points) -> bytes:
    return _json(_encode(points))


def _json(document: bytes) -> bytes:
    return _LENGTH(len(document) + 1) + b"\1" + document


def numeric(amount: Decimal) -> bytes:
    """A column of an amount that has cents at most."""
    cents = int(amount.scaleb(2))
    rest, part = divmod(abs(cents), 100)
    sign = 0x4000 if cents < 0 else 0
    if 0 < rest < BASE:  # nearly all are
        return _CENTS(12, 2, 0, sign, 2, rest, part * 100)
    digits = [part * 100]
    while rest:
        rest, digit = divmod(rest, BASE)
        digits.append(digit)
    count = len(digits)
    return struct.pack(f">i4H{count}H", 8 + 2 * count, count, (count - 2) & 0xFFFF, sign, 2, *reversed(digits))
