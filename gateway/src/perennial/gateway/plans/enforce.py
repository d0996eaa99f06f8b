"""Hold the accepted events of a request against the source's tracking plan."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from perennial.common.contracts.gateway import AcceptedEvent
from perennial.gateway.plans.bounds import escaped
from perennial.gateway.plans.plan import Objection, Plan, Rule, section
from perennial.gateway.tracking.events import Arrival
from perennial.gateway.tracking.refusal import ALLOWED, OMITTED, REJECTED, Rejection
from perennial.gateway.tracking.splice import splice

PLAN_VIOLATION, UNPLANNED_EVENT = "plan_violation", "unplanned_event"
SHOWN = 5
CAREFUL_ROUNDS = 3
ROUNDS = 6
SECONDS = 0.05  # of the processor, for all events of a request
SLICE_SECONDS = 0.01  # after which others have their turn
_JSON = msgspec.json.Decoder()


class Turns:
    """The time that a request may spend on judging, a slice at a time: in between the loop serves everybody else."""

    def __init__(self) -> None:
        self._left = SECONDS
        self._slice = 0.0

    def judge(self, plan: Plan, event: AcceptedEvent) -> "Verdict | None":
        """Judge one event with what is left."""
        started = time.thread_time()
        verdict = judge(plan, event, started + min(self._left, SLICE_SECONDS))
        spent = time.thread_time() - started
        self._left -= spent
        self._slice += spent
        return verdict

    async def rest(self) -> None:
        """Let others have their turn when the slice is used up."""
        if self._slice >= SLICE_SECONDS:
            self._slice = 0.0
            await asyncio.sleep(0)


class Noted(NamedTuple):
    """What the plan objects to in one event; `outcome` says what became of it."""

    rejection: Rejection
    outcome: str
    path: str


class Verdict(NamedTuple):
    """What the plan says of an event, and its new members where something was taken out."""

    outcome: str
    code: str
    found: list[Objection]
    section: str
    changes: dict[str, Any]


async def enforce(
    plan: Plan, arrival: Arrival, accepted: Sequence[AcceptedEvent], rejected: Sequence[Rejection]
) -> tuple[list[AcceptedEvent], list[Rejection], list[Noted]]:
    """What is accepted, what is rejected, and all that the plan objects to, whatever became of it."""
    before = {one.at for one in rejected}
    positions = [index for index in range(len(arrival.envelope.events)) if index not in before]
    turns = Turns()
    kept: list[AcceptedEvent] = []
    noted: list[Noted] = []
    for index, event in zip(positions, accepted, strict=True):
        verdict = turns.judge(plan, event)
        await turns.rest()
        if verdict is None:
            kept.append(event)
            continue
        raw = bytes(arrival.envelope.events[index])
        rejection = Rejection(index, event.message_id, verdict.code, said(verdict), raw)
        noted.append(Noted(rejection, verdict.outcome, pointer(verdict, verdict.found[0])))
        if verdict.outcome != REJECTED:
            kept.append(changed(event, verdict))
    refused = [one.rejection for one in noted if one.outcome == REJECTED]
    return kept, sorted([*rejected, *refused], key=lambda one: one.at), noted


def judge(plan: Plan, event: AcceptedEvent, until: float | None = None) -> Verdict | None:
    """What the plan objects to in an event; None when it has nothing against it.

    `until` is an instant of the thread's own clock; what cannot be judged by then is too much.
    """
    rule = plan.rule(event.type, event.name)
    if rule is None:
        return _unplanned(plan, event)
    until = until or time.thread_time() + SECONDS
    body: dict[str, Any] = _JSON.decode(event.body)
    named = section(event.type)
    parts = _parts(event.type, body)
    found = rule.objections(_effective(parts), until)
    if not found:
        return None
    if any(one.action == "quarantine" for one in found):
        return Verdict(REJECTED, PLAN_VIOLATION, found, named, {})
    if not _take_out(rule, parts, found, until):
        return Verdict(ALLOWED, PLAN_VIOLATION, found, named, {})
    touched = (named, "context") if event.type == "identify" else (named,)
    return Verdict(OMITTED, PLAN_VIOLATION, found, named, {name: body[name] for name in touched if name in body})


def said(verdict: Verdict) -> str:
    """The objections, for people."""
    if verdict.code == UNPLANNED_EVENT:
        return verdict.found[0].message
    shown = [f"{'.'.join(map(str, (verdict.section, *one.path)))}: {one.message}" for one in verdict.found[:SHOWN]]
    more = len(verdict.found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def pointer(verdict: Verdict, one: Objection) -> str:
    """Where in the event."""
    if verdict.code == UNPLANNED_EVENT:
        return "/event"
    return "".join(f"/{escaped(str(step))}" for step in (verdict.section, *one.path))


def changed(event: AcceptedEvent, verdict: Verdict) -> AcceptedEvent:
    """The event as it is accepted."""
    if not verdict.changes:
        return event
    try:
        body = splice(event.body, verdict.changes)
    except OverflowError:  # integers beyond 64 bits
        encoded = {
            name: msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())
            for name, value in verdict.changes.items()
        }  # fmt: skip
        body = splice(event.body, encoded)
    return msgspec.structs.replace(event, body=msgspec.Raw(body))


def _unplanned(plan: Plan, event: AcceptedEvent) -> Verdict | None:
    if event.type != "track" or plan.unplanned_events == "ignore":
        return None
    outcome = REJECTED if plan.unplanned_events == "quarantine" else ALLOWED
    objection = Objection((), "event is not in the tracking plan", plan.unplanned_events)
    return Verdict(outcome, UNPLANNED_EVENT, [objection], "event", {})


def _parts(kind: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects that hold the properties or traits; a later one overlays those before it."""
    found = [body.get(section(kind))]
    if kind == "identify":
        found.insert(0, (body.get("context") or {}).get("traits"))
    return [part for part in found if isinstance(part, dict)]


def _effective(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0]
    return {name: value for part in parts for name, value in part.items()}


def _take_out(rule: Rule, parts: Sequence[dict[str, Any]], found: Sequence[Objection], until: float) -> bool:
    """Take out what is to be omitted, the smallest part that makes sense, until nothing is left that could be."""
    anything = False
    for turn in range(ROUNDS):
        paths = [one.path for one in found if one.action == "omit" and one.path]
        gone = [_remove(part, path if turn < CAREFUL_ROUNDS else path[:1]) for path in paths for part in parts]
        if not any(gone):
            break
        anything = True
        found = rule.objections(_effective(parts), until)
    return anything


def _remove(part: dict[str, Any], path: Sequence[str | int]) -> bool:
    """Take the last named member on a path out of an object: an item of a list takes the list with it."""
    holder, name = part, str(path[0])
    here: Any = part
    for step in path:
        if isinstance(here, dict) and step in here:
            holder, name = here, str(step)
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
        else:
            return False
    del holder[name]
    return True
