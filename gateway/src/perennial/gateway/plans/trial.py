"""What would become of one event; nothing of it is stored."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.gateway.plans import enforce
from perennial.gateway.plans.plan import Plan
from perennial.gateway.tracking import events
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.refusal import REJECTED


class Trial(NamedTuple):
    """The outcome, and the event as it would be stored."""

    outcome: str
    code: str | None = None
    message: str | None = None
    findings: tuple[tuple[str, str], ...] = ()
    event: dict[str, Any] | None = None


def tried(source_id: str, event: Any, plan: Plan, turns: enforce.Turns) -> Trial:
    """Judge an event as if it had just arrived alone."""
    try:
        raw = msgspec.Raw(msgspec.json.encode(event))
    except (UnicodeEncodeError, OverflowError, RecursionError) as error:
        return Trial(REJECTED, "invalid_event", f"the event cannot be read: {error}")
    arrival = events.Arrival(source_id, datetime.now(UTC), Envelope(events=[raw]))
    accepted, rejected = events.judge(arrival)
    if rejected:
        return Trial(REJECTED, rejected[0].code, rejected[0].message)
    return _held_against(plan, accepted[0], turns)


def _held_against(plan: Plan, event: AcceptedEvent, turns: enforce.Turns) -> Trial:
    verdict = turns.judge(plan, event)
    if verdict is None:
        return Trial("accepted", event=msgspec.json.decode(event.body))
    findings = tuple((enforce.pointer(verdict, one), one.message) for one in verdict.found)
    stored = None if verdict.outcome == REJECTED else msgspec.json.decode(enforce.changed(event, verdict).body)
    return Trial(verdict.outcome, verdict.code, enforce.said(verdict), findings, stored)
