"""What is said of memberships: how they stand, what a live event or the clock changed, what is granted and revoked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from perennial.common.contracts.base import Event
from perennial.common.contracts.loyalty import (
    Benefit,
    BenefitGranted,
    BenefitRevoked,
    BenefitsChanged,
    CustomerBenefits,
    Membership,
    MembershipChanged,
    MembershipsChanged,
)
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.loyalty.memberships.course import MEMBER
from perennial.loyalty.memberships.queries import State

log = structlog.get_logger()

BATCH = 500
ENDED = "none"
"""The status of a membership that is another customer's now."""


@dataclass(frozen=True)
class Move:
    """A membership before and after; None: there is none."""

    before: State | None
    after: State | None
    version: int

    @property
    def state(self) -> State:
        """What there is to speak of."""
        state = self.after or self.before
        assert state is not None  # noqa: S101 (one of the two)
        return state

    @property
    def status(self) -> str:
        """How it stands now."""
        return self.after.state if self.after else ENDED


async def say(session: WriteSession, moves: Sequence[Move], live: Mapping[UUID, bool]) -> None:
    """How memberships stand, for whoever keeps a copy; of live ones also what happened."""
    if not moves:
        return
    given = [_benefits(move) for move in moves if _given(move.before) != _given(move.after)]
    stood = [_membership(move) for move in moves]
    facts: list[Event] = [MembershipsChanged(memberships=stood[i : i + BATCH]) for i in range(0, len(stood), BATCH)]
    facts += [BenefitsChanged(customers=given[i : i + BATCH]) for i in range(0, len(given), BATCH)]
    for move in moves:
        if live.get(move.state.customer_id):
            facts += _happened(move)
    await emit(session, *facts)
    log.info("memberships.changed", memberships=len(moves))


def _membership(move: Move) -> Membership:
    state = move.state
    return Membership(
        customer=state.customer_id, plan=state.plan, status=move.status, member=move.status in MEMBER,
        since=state.since, until=state.until, version=move.version,
    )  # fmt: skip


def _given(state: State | None) -> list[dict[str, Any]]:
    return state.benefits if state else []


def _benefits(move: Move) -> CustomerBenefits:
    benefits = [Benefit.model_validate(item) for item in _given(move.after)]
    return CustomerBenefits(
        customer=move.state.customer_id, origin=_origin(move), held_by=move.state.plan, benefits=benefits,
        version=move.version,
    )  # fmt: skip


def _origin(move: Move) -> str:
    return f"membership:{move.state.plan}"


def _told(state: State | None) -> tuple[object, ...] | None:
    return None if state is None else (state.state, state.until, state.renews, state.refund_due)


def _happened(move: Move) -> Iterator[Event]:
    state = move.state
    if move.after is not None and _told(move.before) != _told(move.after):
        yield MembershipChanged(
            customer=state.customer_id, plan=state.plan, status=move.status,
            previous=None if move.before is None else move.before.state, since=state.since, until=state.until,
            refund_due=state.refund_due, money=state.money, version=move.version,
        )  # fmt: skip
    before = {item["code"]: item for item in _given(move.before)}
    after = {item["code"]: item for item in _given(move.after)}
    who: dict[str, Any] = {"customer": state.customer_id, "origin": _origin(move), "version": move.version}
    for code, item in before.items():
        if code not in after:
            yield BenefitRevoked(benefit=Benefit.model_validate(item), **who)
    for code, item in after.items():
        if before.get(code) != item:
            yield BenefitGranted(benefit=Benefit.model_validate(item), held_by=state.plan, **who)
