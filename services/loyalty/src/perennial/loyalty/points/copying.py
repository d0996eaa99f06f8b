"""Many postings and lots at once, by COPY: Postgres takes them page by page, where an INSERT brings row after row."""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from uuid import UUID

from perennial.common.db import WriteSession
from perennial.common.db.copying import NULL, copy, instant, word
from perennial.loyalty.points.posting import Lot, Posting

POSTING = (
    "id", "via", "at", "points", "pending", "kind", "currency", "reason", "reference", "returns", "lot_id",
)  # fmt: skip
LOT = (
    "id", "posting_id", "via", "points", "qualifies", "earned_at", "active_at", "currency", "state", "purchase_id",
    "expires_at",
)  # fmt: skip
_UUID = struct.pack(">i", 16)
_INSTANT = struct.Struct(">iq").pack
_MOVED = struct.Struct(">hi16si16siqiqiq").pack  # up to `pending`
_BROUGHT = struct.Struct(">hi16si16si16siqi?iqiq").pack  # up to `active_at`
_word = lru_cache(256)(word)


async def add(session: WriteSession, postings: Iterable[Posting], lots: Sequence[Lot]) -> None:
    """Add them. Raises asyncpg.UniqueViolationError where one is there already."""
    await copy(session, "posting", POSTING, map(_posting, postings))
    if lots:
        await copy(session, "lot", LOT, map(_lot, lots))


def _posting(item: Posting) -> Iterable[bytes]:
    return (
        _MOVED(
            len(POSTING), 16, item.id.int.to_bytes(16), 16, item.via.int.to_bytes(16), 8, instant(item.at),
            8, item.points, 8, item.pending,
        ),
        _word(item.kind), _word(item.currency), _word(item.reason), word(item.reference), _uuid(item.returns),
        _uuid(item.lot_id),
    )  # fmt: skip


def _lot(lot: Lot) -> Iterable[bytes]:
    key, earned = lot.id.int.to_bytes(16), instant(lot.earned_at)
    active = earned if lot.active_at is lot.earned_at else instant(lot.active_at)
    return (
        _BROUGHT(
            len(LOT), 16, key, 16, key, 16, lot.via.int.to_bytes(16), 8, lot.points, 1, lot.qualifies,
            8, earned, 8, active,
        ),
        _word(lot.currency), _word(lot.state), _uuid(lot.purchase_id),
        NULL if lot.expires_at is None else _INSTANT(8, instant(lot.expires_at)),
    )  # fmt: skip


def _uuid(value: UUID | None) -> bytes:
    return NULL if value is None else _UUID + value.int.to_bytes(16)
