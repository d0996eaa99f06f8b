"""Keep what other services say: the highest version of a state wins, so order and repeats do not matter."""

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted, MessageSent, MessageSuppressed
from perennial.common.contracts.identity import CustomersMerged
from perennial.common.contracts.loyalty import (
    Account,
    AccountsChanged,
    ExpiryAnnounced,
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionEvent,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    Tier,
    TiersChanged,
)
from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.contracts.tickets import TicketBreached, TicketEvent, TicketOpened, TicketRated
from perennial.common.db import WriteSession
from perennial.profile.sections import queries

REDEMPTIONS = (
    RedemptionReserved, RedemptionConfirmed, RedemptionFulfilled, RedemptionCancelled, RedemptionExpired,
)  # fmt: skip
COUPONS = {"coupon", "voucher"}  # kinds of rewards that somebody shows at a till; the others are sent or booked
GIVEN_BACK = (RedemptionCancelled, RedemptionExpired)

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")


async def record_accounts(session: WriteSession, facts: Sequence[AccountsChanged]) -> None:
    """Copy points, with the time at which they were true."""
    said = [
        ((item.via, item.currency), item.version, (item, fact.occurred_at)) for fact in facts for item in fact.accounts
    ]
    rows: list[tuple[Account, datetime]] = newest(said)
    await queries.write_accounts(
        session, [(item.via, item.currency, item.balance, item.pending, item.version, at) for item, at in rows]
    )


async def record_expiring(session: WriteSession, facts: Sequence[ExpiryAnnounced]) -> None:
    """Copy what was announced to expire; of one instant the newest announcement counts."""
    found: dict[tuple[UUID, str, datetime], ExpiryAnnounced] = {}
    for fact in sorted(facts, key=lambda fact: fact.occurred_at):
        found[fact.via, fact.currency, fact.expires_at] = fact
    await queries.write_expiring(
        session, [(*place, found[place].points, found[place].occurred_at) for place in sorted(found)]
    )


async def record_tiers(session: WriteSession, facts: Sequence[TiersChanged]) -> None:
    """Copy tiers, with the time at which they were true."""
    said = [(item.customer, item.version, (item, fact.occurred_at)) for fact in facts for item in fact.tiers]
    rows: list[tuple[Tier, datetime]] = newest(said)
    await queries.write_tiers(session, [(item.customer, item.tier, item.since, item.version, at) for item, at in rows])


async def record_memberships(session: WriteSession, facts: Sequence[MembershipsChanged]) -> None:
    """Copy who is a member of what, with the time at which it was true."""
    said = [
        ((item.customer, item.segment_id), item.version, (item, fact.occurred_at))
        for fact in facts
        for item in fact.memberships
    ]
    rows: list[tuple[Membership, datetime]] = newest(said)
    await queries.write_memberships(
        session,
        [
            (item.customer, item.segment_id, item.segment_name, item.member, item.since, item.version, at)
            for item, at in rows
        ],
    )


async def record_tickets(session: WriteSession, facts: Sequence[TicketEvent]) -> None:
    """Copy how each ticket stands, and what happened to it once."""
    rows = newest((fact.ticket_id, fact.version, fact) for fact in facts)
    await queries.write_tickets(
        session,
        [
            (fact.ticket_id, fact.via, fact.open, fact.version, fact.type, fact.stage, fact.priority, fact.occurred_at)
            for fact in rows
        ],
    )
    await queries.mark_tickets(session, marks(facts))


def marks(
    facts: Iterable[TicketEvent],
) -> list[tuple[UUID, queries.Instant, queries.Instant, str | None, queries.Instant, int | None]]:
    """(ticket, opened_at, breached_at, the level missed, rated_at, score) of each, sorted."""
    found: dict[UUID, _Marks] = {}
    for fact in sorted(facts, key=lambda fact: fact.occurred_at):
        mark = found.setdefault(fact.ticket_id, _Marks())
        if isinstance(fact, TicketOpened):
            mark.opened_at = mark.opened_at or fact.occurred_at
        elif isinstance(fact, TicketBreached) and mark.breached_at is None:
            mark.breached_at, mark.breached = fact.occurred_at, fact.target
        elif isinstance(fact, TicketRated):
            mark.rated_at, mark.score = fact.occurred_at, fact.score
    return [
        (ticket, mark.opened_at, mark.breached_at, mark.breached, mark.rated_at, mark.score)
        for ticket, mark in sorted(found.items())
        if mark != _Marks()
    ]


@dataclass(slots=True)
class _Marks:
    opened_at: datetime | None = None
    breached_at: datetime | None = None
    breached: str | None = None
    rated_at: datetime | None = None
    score: int | None = None


async def record_redemptions(session: WriteSession, facts: Sequence[RedemptionEvent]) -> None:
    """Copy the coupons and vouchers that were taken from the mall; those given back are held no more."""
    rows = newest((fact.redemption_id, fact.version, fact) for fact in facts if fact.kind in COUPONS)
    await queries.write_coupons(session, [_coupon(fact) for fact in rows])


def _coupon(
    fact: RedemptionEvent,
) -> tuple[str, UUID, UUID, str, str, str, bool, int, datetime, queries.Instant, datetime]:
    source, _, state, _ = fact.subject.split(".")
    held_until = fact.expires_at if isinstance(fact, RedemptionReserved) else None
    name = json.dumps(fact.reward_name, ensure_ascii=False)
    return (
        source, fact.redemption_id, fact.via, fact.kind, name, state, not isinstance(fact, GIVEN_BACK), fact.version,
        fact.reserved_at or fact.occurred_at, held_until, fact.occurred_at,
    )  # fmt: skip


async def count_messages(session: WriteSession, facts: Sequence[MessageSent | MessageSuppressed]) -> None:
    """Count by channel the messages that went out or did not; each fact is heard once."""
    found: dict[tuple[UUID, str], _Reach] = {}
    for fact in sorted(facts, key=lambda fact: fact.occurred_at):
        reach = found.setdefault((fact.via, fact.channel), _Reach())
        if isinstance(fact, MessageSuppressed):
            reach.suppressed, reach.last_suppressed_at = reach.suppressed + 1, fact.occurred_at
            reach.last_reason = fact.reason
        else:
            reach.sent, reach.last_sent_at = reach.sent + 1, fact.occurred_at
    await queries.add_messages(
        session,
        [
            (*key, item.sent, item.suppressed, item.last_sent_at, item.last_suppressed_at, item.last_reason)
            for key, item in sorted(found.items())
        ],
    )


@dataclass(slots=True)
class _Reach:
    sent: int = 0
    suppressed: int = 0
    last_sent_at: datetime | None = None
    last_suppressed_at: datetime | None = None
    last_reason: str | None = None


async def record_enrolments(session: WriteSession, facts: Sequence[EnrolmentStarted | EnrolmentEnded]) -> None:
    """Copy who is on which journey. A walk may go on after it ended: what was said of it last, by its time, holds."""
    found: dict[UUID, _Walk] = {}
    for fact in sorted(facts, key=lambda fact: (fact.occurred_at, isinstance(fact, EnrolmentEnded))):
        walk = found.setdefault(fact.enrolment_id, _Walk(fact.via, fact.journey_id))
        if isinstance(fact, EnrolmentEnded):
            walk.ended_at, walk.reason = fact.occurred_at, fact.reason
        else:
            walk.started_at, walk.ended_at, walk.reason = fact.occurred_at, None, None
    await queries.write_enrolments(
        session,
        [
            (key, walk.via, walk.journey_id, walk.started_at, walk.ended_at, walk.reason)
            for key, walk in sorted(found.items())
        ],
    )


@dataclass(slots=True)
class _Walk:
    via: UUID
    journey_id: UUID
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None


async def record_mergers(session: WriteSession, facts: Sequence[CustomersMerged]) -> None:
    """Remember who was merged into whom; whether it still holds, the map says."""
    rows = {fact.merge_id: (fact.merge_id, fact.survivor, fact.merged, fact.occurred_at) for fact in facts}
    await queries.write_mergers(session, [rows[key] for key in sorted(rows)])


def newest(states: Iterable[tuple[K, int, S]]) -> list[S]:
    """Of (key, version, state) the highest version of each key, in the order of the keys."""
    found: dict[K, tuple[int, S]] = {}
    for key, version, state in states:
        if key not in found or found[key][0] < version:
            found[key] = (version, state)
    return [found[key][1] for key in sorted(found, key=str)]
