"""Entering and leaving journeys."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from perennial.campaigns.enrolments import queries
from perennial.campaigns.enrolments.queries import Ending, Move
from perennial.campaigns.messages.service import withdraw
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.versions import plans
from perennial.campaigns.wakes import wake
from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit

ALREADY_ON_IT, HAS_BEEN_ON_IT, UNKNOWN = "already_enrolled", "enrolled_before", "unknown_customer"
_INSTANT = timedelta(microseconds=1)  # a walk that goes on was said to have ended before


@dataclass(frozen=True)
class Entry:
    """Somebody who may enter: `via` is the origin, `cause` what brought them, `since` when that was."""

    via: UUID
    customer_id: UUID
    since: datetime
    cause: Mapping[str, Any]
    cause_id: UUID | None = None


@dataclass
class Entered:
    """How many entered, and why the others did not."""

    count: int = 0
    refused: Counter[str] = field(default_factory=Counter)


async def enter(session: WriteSession, plan: Plan, entries: Sequence[Entry]) -> Entered:
    """Enrol whom the re-entry policy admits; the customers (or the journey) must be locked."""
    now = datetime.now(UTC)
    past = await queries.history(session, plan.journey_id, sorted({entry.customer_id for entry in entries}))
    result, rows, refused = Entered(), list[dict[str, Any]](), list[dict[str, Any]]()
    for entry in sorted(entries, key=lambda entry: entry.since):
        reason = _refusal(plan, past.get(entry.customer_id))
        if reason is not None:
            result.refused[reason] += 1
            refused.append({"id": uuid7(), "journey_id": plan.journey_id, "via": entry.via, "reason": reason})
            continue
        past[entry.customer_id] = True
        rows.append(_row(plan, entry, now))
    result.count = len(rows)
    await queries.add(session, rows)
    await queries.refuse(session, refused)
    await wake(session, [(row["id"], row["via"], now) for row in rows])
    await emit(session, *(_started(row, now) for row in rows))
    return result


def _refusal(plan: Plan, is_open: bool | None) -> str | None:  # noqa: FBT001 (None: has never been on it)
    reentry = plan.definition.reentry
    if is_open is None or reentry == "always":
        return None
    if is_open:
        return ALREADY_ON_IT
    return HAS_BEEN_ON_IT if reentry == "once" else None


def _row(plan: Plan, entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "journey_id": plan.journey_id,
        "version": plan.version,
        "via": entry.via,
        "customer_id": entry.customer_id,
        "cause": dict(entry.cause),
        "cause_id": entry.cause_id,
        "since": entry.since,
        "entered_at": now,
        "step": plan.first,
        "state": "active",
        "due_at": now,
    }


def _started(row: Mapping[str, Any], at: datetime) -> EnrolmentStarted:
    return EnrolmentStarted(
        occurred_at=at,
        enrolment_id=row["id"],
        journey_id=row["journey_id"],
        journey_version=row["version"],
        via=row["via"],
        customer=row["customer_id"],
    )


async def settle_exits(session: WriteSession, customers: Sequence[UUID]) -> int:
    """End the journeys that an event of these customers (locked) ended, live or not; returns how many."""
    if not customers:
        return 0
    facts = await queries.exit_facts(session, sorted(set(customers)))
    found = await plans(session, {(fact.enrolment.journey_id, fact.enrolment.version) for fact in facts})
    ended: dict[UUID, tuple[Ending, dict[str, Any]]] = {}
    for fact in facts:
        walk = fact.enrolment
        plan = found[walk.journey_id, walk.version]
        if walk.id not in ended and plan.exited_by(fact.name, fact.properties, fact.at):
            ended[walk.id] = (walk, {"event": fact.name, "event_id": str(fact.event_id), "at": fact.at.isoformat()})
    await end(session, [(walk, "exit_event", by) for walk, by in ended.values()])
    return len(ended)


async def settle_parted(session: WriteSession, customers: Sequence[UUID]) -> int:
    """Who is a customer of their own again (locked) walks on from where somebody else's walk or event ended theirs."""
    found = await queries.parted(session, sorted(set(customers))) if customers else []
    if found:
        await queries.reopen(session, [walk.id for walk in found])
        now = datetime.now(UTC)
        await wake(session, [(walk.id, walk.via, walk.due_at or now) for walk in found])
        await emit(session, *(_started(vars(walk), max(now, walk.ended_at + _INSTANT)) for walk in found))
    return len(found)


async def settle_merged(session: WriteSession, customers: Sequence[UUID]) -> int:
    """Who became one customer (locked) walks on once: the earliest walk, unless the journey may be entered always."""
    if not customers:
        return 0
    found = await queries.twins(session, sorted(set(customers)))
    by_version = await plans(session, {(walk.journey_id, walk.version) for walk, _ in found})
    over = [
        (walk, "merged", {"enrolment_id": str(first)})
        for walk, first in found
        if by_version[walk.journey_id, walk.version].definition.reentry != "always"
    ]
    await end(session, over)
    return len(over)


async def end(session: WriteSession, endings: Sequence[tuple[Ending, str, Mapping[str, Any] | None]]) -> None:
    """Exit at once, on whatever step; messages that nobody has in hand are given up."""
    if not endings:
        return
    now = datetime.now(UTC)
    ids = [walk.id for walk, _, _ in endings]
    moves = [
        Move(walk.id, walk.step, "exited", ended_at=now, reason=reason, ended_by=by) for walk, reason, by in endings
    ]
    await queries.move(session, moves)
    await queries.leave_steps(session, ids, now)
    await withdraw(session, ids, now)
    await emit(session, *(ended(walk, walk.step, reason) for walk, reason, _ in endings))


def ended(walk: Ending | queries.Walking, step: str, reason: str) -> EnrolmentEnded:
    """The fact that an enrolment ended on a step; not before it began, whatever the clock of whoever began it."""
    return EnrolmentEnded(
        occurred_at=max(datetime.now(UTC), walk.entered_at),
        enrolment_id=walk.id,
        journey_id=walk.journey_id,
        via=walk.via,
        customer=walk.customer_id,
        reason=reason,
        step=step,
    )
