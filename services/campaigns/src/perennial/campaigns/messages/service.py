"""Approving, withdrawing and settling messages: whatever happens to one, its row says why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from perennial.campaigns.channels.queries import channels
from perennial.campaigns.consents import queries as consents
from perennial.campaigns.messages import queries
from perennial.campaigns.messages.checks import TRAITS, Budget, Verdict, judge
from perennial.campaigns.plans.plan import Plan
from perennial.campaigns.plans.steps import MessageStep
from perennial.campaigns.templates import Facts, TemplateFault, render
from perennial.common import notify
from perennial.common.contracts.campaigns import MessageSuppressed
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit
from perennial.common.rules import Footprint
from perennial.common.rules.facts import load_views

SUBJECT_LENGTH = 900


@dataclass(frozen=True)
class Wish:
    """A message that a step wants to send. `known` is its row's id, when it was put off before."""

    plan: Plan
    step: MessageStep
    enrolment_id: UUID
    via: UUID
    customer_id: UUID
    event: Mapping[str, object]
    known: UUID | None = None


async def approve(session: WriteSession, wishes: Sequence[Wish], now: datetime) -> list[Verdict]:
    """Check each wish and write its message; the customers must be locked. Senders are woken for what is approved."""
    if not wishes:
        return []
    named = await channels(session)
    customers = sorted({wish.customer_id for wish in wishes})
    keys = TRAITS.union(*(wish.plan.message_traits[wish.step.id] for wish in wishes))
    views = await load_views(session, customers, Footprint(keys, frozenset(), frozenset(), timedelta()), now)
    said = await consents.said(session, customers)
    budget = Budget(await queries.counts(session, customers, now))
    verdicts: list[Verdict] = []
    added: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for wish in wishes:
        traits = views[wish.customer_id].traits
        verdict = judge(
            wish.step, named[wish.step.channel], wish.customer_id, traits, budget, now, said.get(wish.customer_id, ())
        )
        row = _row(wish, verdict, traits, now)
        verdicts.append(Verdict(row["status"], row["reason"], verdict.address, verdict.until))
        (added if wish.known is None else changed).append(row)
    await queries.add(session, [_whole(wish, row) for wish, row in _pairs(wishes, added)])
    await queries.change(session, changed)
    await _tell(session, [row | _named(wish) for wish, row in _pairs(wishes, added + changed)])
    for channel in sorted({row["channel"] for row in added + changed if row["approved_at"]}):
        await notify.notify(session, f"messages_{channel}")
    return verdicts


def _row(wish: Wish, verdict: Verdict, traits: Mapping[str, object], now: datetime) -> dict[str, Any]:
    """The part of a message that a verdict decides."""
    row: dict[str, Any] = {
        "id": wish.known or uuid7(),
        "enrolment_id": wish.enrolment_id,
        "channel": wish.step.channel,
        "customer_id": wish.customer_id,
        "address": verdict.address,
        "subject": None,
        "body": None,
        "status": verdict.status,
        "reason": verdict.reason,
        "detail": verdict.detail,
        "approved_at": None,
        "leased_until": None,
        "settled_at": None,
    }
    if verdict.status == "queued" and verdict.until is None:
        row |= _content(wish, row["id"], traits, now)
    if row["status"] != "queued":
        row["settled_at"] = now
    return row


def _content(wish: Wish, message_id: UUID, traits: Mapping[str, object], now: datetime) -> dict[str, Any]:
    facts = Facts(
        traits=traits,
        event=wish.event,
        customer={"id": str(wish.customer_id)},
        journey={"id": str(wish.plan.journey_id), "version": wish.plan.version},
        message={"id": str(message_id)},
    )
    try:
        subject = " ".join(render(wish.step.subject, facts).split())[:SUBJECT_LENGTH]
        body = render(wish.step.body, facts, markup=wish.step.format == "html")
    except TemplateFault as fault:
        return {"status": "not_sent", "reason": "template_error", "detail": {"error": str(fault)}}
    return {"subject": subject, "body": body, "approved_at": now}


def _pairs(wishes: Sequence[Wish], rows: Sequence[dict[str, Any]]) -> list[tuple[Wish, dict[str, Any]]]:
    by_enrolment = {wish.enrolment_id: wish for wish in wishes}
    return [(by_enrolment[row["enrolment_id"]], row) for row in rows]


def _named(wish: Wish) -> dict[str, Any]:
    return {"journey_id": wish.plan.journey_id, "step": wish.step.id, "via": wish.via}


def _whole(wish: Wish, row: dict[str, Any]) -> dict[str, Any]:
    shape = {"version": wish.plan.version, "purpose": wish.step.purpose, "format": wish.step.format}
    return row | shape | _named(wish)


async def withhold(session: WriteSession, wishes: Sequence[Wish], now: datetime) -> None:
    """Note the messages that a control group does not get."""
    rows = [_whole(wish, _row(wish, Verdict("not_sent", "control_group"), {}, now)) for wish in wishes]
    await queries.add(session, rows)
    await _tell(session, rows)


async def withdraw(session: WriteSession, enrolments: Sequence[UUID], now: datetime) -> None:
    """Give up the messages of walks that have ended, as far as no sender has them in hand."""
    if not enrolments:
        return
    rows = await queries.withdraw(session, enrolments, now)
    await _tell(session, [dict(row._mapping) | {"status": "not_sent", "reason": "exited"} for row in rows])  # noqa: SLF001 (SQLAlchemy's public name)


async def _tell(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    facts = [
        MessageSuppressed(
            message_id=row["id"],
            journey_id=row["journey_id"],
            step=row["step"],
            channel=row["channel"],
            via=row["via"],
            customer=row["customer_id"],
            reason=row["reason"],
        )
        for row in rows
        if row["status"] == "not_sent"
    ]
    await emit(session, *facts)
