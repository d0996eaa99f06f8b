"""Facts of which a batch says many: encoded as their contracts would be, at a fraction of the time."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import AccountsChanged, PointsEarned
from perennial.common.events import Encoder
from perennial.common.ids import uuid7_text
from perennial.common.packs import Said
from perennial.loyalty.points.posting import Lot, Posting

BATCH = 500

_encode = msgspec.json.Encoder().encode


class _Changed(msgspec.Struct):
    id: str
    occurred_at: datetime
    accounts: Sequence[Mapping[str, Any]]


class _Earned(msgspec.Struct):
    id: str
    occurred_at: datetime
    posting_id: UUID
    via: UUID
    customer: UUID
    points: int
    reason: str
    reference: str | None
    currency: str


def changed(accounts: Sequence[asyncpg.Record]) -> list[Said]:
    """AccountsChanged, of so many accounts each."""
    head, now = Encoder().head, utc_now()
    made = []
    for at in range(0, len(accounts), BATCH):
        fact = _Changed(uuid7_text(), now, [dict(row) for row in accounts[at : at + BATCH]])
        made.append(Said(fact.id, AccountsChanged.subject, head(AccountsChanged, fact.id, now), _encode(fact)))
    return made


def earned(pairs: Iterable[tuple[Lot, Posting]], owners: Mapping[UUID, UUID]) -> list[Said]:
    """PointsEarned of each lot, with today's customer."""
    head, made = Encoder().head, []
    for lot, posting in pairs:
        fact = _Earned(
            uuid7_text(), lot.earned_at, posting.id, lot.via, owners.get(lot.via, lot.via), lot.points, posting.reason,
            posting.reference, lot.currency,
        )  # fmt: skip
        made.append(Said(fact.id, PointsEarned.subject, head(PointsEarned, fact.id, lot.earned_at), _encode(fact)))
    return made
