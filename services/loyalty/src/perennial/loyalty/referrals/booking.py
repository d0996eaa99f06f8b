"""The points of referrals: both sides' lots by postings named after the referral, and what is said of it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common import derive, identity_map
from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.loyalty import (
    PointsEarned,
    PointsReversed,
    ReferralEnded,
    ReferralQualified,
    ReferralRewarded,
    ReferralSuspected,
)
from perennial.common.db import WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.common.outbox import emit
from perennial.common.privacy.filtering import gone
from perennial.loyalty.points import queries as ledger
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Lot, Posting, cut, issue
from perennial.loyalty.programme import service as programme

log = structlog.get_logger()

REASON = "referral"


async def carry_out(session: WriteSession, moves: Sequence[tuple[Row[Any], str]]) -> None:
    """Book what is rewarded now, and take back what is not any more."""
    given = [row for row, state in moves if state == "rewarded" and not row.booked]
    taken = [row for row, state in moves if state != "rewarded" and row.booked]
    if not given and not taken:
        return
    vias = {via for row in (*given, *taken) for via in (row.via, row.friend)}
    owners = await identity_map.customers_of(session, vias)
    await ledger.lock_accounts(session, vias)
    lots = await _lots(session, given)
    earned = [issue(lot, "earn", REASON, None) for lot in lots]
    held = await ledger.lots(session, [_lot_id(row, reward["side"]) for row in taken for reward in row.rewards])
    back = [cut(lot, "reverse", lot.standing, utc_now(), REASON) for lot in held if lot.standing]
    facts: list[Event] = [_earned(posting, owners.get(posting.via, posting.via)) for posting in earned]
    facts += [_reversed(posting, owners.get(posting.via, posting.via)) for posting in back]
    await points.book(session, [*earned, *back], lots, *facts)
    await derive.mark(session, owners.values(), live=True)
    log.info("referrals.settled", rewarded=len(given), taken_back=len(taken))


def _lot_id(row: Row[Any], side: str) -> UUID:
    return digest_uuid("referral", str(row.id), side, str(row.round))


async def _lots(session: WriteSession, rows: Sequence[Row[Any]]) -> list[Lot]:
    """What both sides get, from now on and as long as its currency says; growth value counts towards tiers."""
    rules, now, zone = await programme.current(session), utc_now(), settings_of(session).zone
    erased = await gone(session, [via for row in rows for via in (row.via, row.friend)])
    lots = []
    for row in rows:
        for reward in row.rewards:
            via = row.via if reward["side"] == "referrer" else row.friend
            if via in erased:
                continue
            currency = rules.currency(reward["currency"])
            lots.append(Lot(
                _lot_id(row, reward["side"]), via, reward["points"], now, now, currency.expiry.after(now, zone),
                qualifies=currency.kind == "growth", currency=reward["currency"],
            ))  # fmt: skip
    return lots


def _earned(posting: Posting, customer: UUID) -> PointsEarned:
    return PointsEarned(
        posting_id=posting.id, via=posting.via, customer=customer, points=posting.points, reason=REASON,
        currency=posting.currency,
    )  # fmt: skip


def _reversed(posting: Posting, customer: UUID) -> PointsReversed:
    return PointsReversed(
        posting_id=posting.id, via=posting.via, customer=customer, points=-posting.points, currency=posting.currency
    )  # fmt: skip


async def say(session: WriteSession, moved: Sequence[tuple[Row[Any], Row[Any]]]) -> None:
    """What became of referrals that a live event, the clock or staff moved; each before and after."""
    facts: list[Event] = []
    for before, row in moved:
        who: dict[str, Any] = {
            "referral_id": row.id, "via": row.via, "customer": row.customer_id, "friend": row.friend,
            "friend_customer": row.friend_id, "version": row.version,
        }  # fmt: skip
        if row.state == "pending":
            facts.append(ReferralQualified(due_at=row.due_at, **who))
        elif row.state == "held":
            facts.append(ReferralSuspected(reasons=list(row.reasons), **who))
        elif row.state == "rewarded":
            facts.append(ReferralRewarded(**who))
        elif before.state != row.state:
            facts.append(ReferralEnded(outcome=row.state, **who))
    await emit(session, *facts)
