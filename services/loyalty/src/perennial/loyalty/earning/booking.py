"""What a cause other than an order earns becomes lots, one for each currency, whose ids are made of the cause."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from perennial.common import derive, identity_map
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import PointsEarned
from perennial.common.db import WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, Posting, issue
from perennial.loyalty.programme.definition import Definition


@dataclass(frozen=True, slots=True)
class Earned:
    """Points by currency for one cause, by the rules in force then; `reference` says which it was."""

    cause: UUID
    via: UUID
    at: datetime
    points: Mapping[str, int]
    reason: str
    reference: str | None
    live: bool
    rules: Definition


def lot_id(cause: UUID, currency: str) -> UUID:
    """The lot of a cause."""
    return digest_uuid("earn", str(cause), currency)


def again(cause: UUID, rounds: int) -> UUID:
    """The cause of what is given once more after it was taken back; the first time is the cause itself."""
    return digest_uuid("again", str(cause), str(rounds)) if rounds else cause


async def book(session: WriteSession, items: Sequence[Earned]) -> list[Lot]:
    """Post what causes earn, each once: whoever calls has seen to it that a cause is new."""
    zone = settings_of(session).zone
    booked = [(item, lot) for item in items for lot in _lots(item, zone)]
    if not booked:
        return []
    postings = [issue(lot, "earn", item.reason, item.reference) for item, lot in booked]
    owners = await identity_map.customers_of(session, {item.via for item in items})
    facts = [
        _fact(posting, lot, owners)
        for (item, lot), posting in zip(booked, postings, strict=True) if item.live
    ]  # fmt: skip
    await points.book(session, postings, [lot for _, lot in booked], *facts)
    live = {owners[item.via] for item, _ in booked if item.live and item.via in owners}
    rest = {owners[item.via] for item, _ in booked if item.via in owners} - live
    await derive.mark(session, live, live=True)
    await derive.mark(session, rest, live=False, settle=True)
    return [lot for _, lot in booked]


def _lots(item: Earned, zone: tzinfo) -> Iterable[Lot]:
    for code, amount in sorted(item.points.items()):
        if amount > 0:
            rules = item.rules.currency(code)
            active_at = item.at + timedelta(days=rules.pending_days)
            yield Lot(
                lot_id(item.cause, code), item.via, amount, item.at, active_at, rules.expiry.after(item.at, zone),
                state="pending" if active_at > utc_now() else "active", currency=code,
            )  # fmt: skip


def _fact(posting: Posting, lot: Lot, owners: Mapping[UUID, UUID]) -> PointsEarned:
    return PointsEarned(
        posting_id=posting.id, via=lot.via, customer=owners.get(lot.via, lot.via), points=lot.points,
        reason=posting.reason, reference=posting.reference, currency=lot.currency, occurred_at=lot.earned_at,
    )  # fmt: skip
