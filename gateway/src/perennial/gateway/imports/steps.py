"""Do an import, or try it: some rows a step.

A step that dies after its events were stored sends them again under the same message ids; identity counts them once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import msgspec

from perennial.common import sheets
from perennial.common.contracts.gateway import AcceptedEvent
from perennial.common.operations import Step
from perennial.common.problems import Unavailable
from perennial.gateway.imports import rows, service
from perennial.gateway.imports.cells import Invalid
from perennial.gateway.imports.known import known
from perennial.gateway.imports.reading import Record, Records
from perennial.gateway.imports.rows import Fault, Plan, Told
from perennial.gateway.plans import loading as plans
from perennial.gateway.plans.enforce import enforce
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.sources.models import Source
from perennial.gateway.tracking import events
from perennial.gateway.tracking.envelope import Envelope
from perennial.gateway.tracking.events import Arrival
from perennial.gateway.tracking.publish import Publisher
from perennial.gateway.tracking.refusal import Refusal, Rejection

AT_ONCE, BYTES_AT_ONCE = 500, 1 << 20  # whichever comes first: rows may be long, or blank
JUDGED_AT_ONCE = 100  # a plan has so much time for a request, and no more
SHOWN = 100
ERRORS = "errors.csv"
_COUNTS = ("rows", "accepted", "rejected", "created", "updated")


async def run(step: Step) -> Mapping[str, Any] | None:
    """Send the next rows into the stream."""
    return await _advance(step, trial=False)


async def check(step: Step) -> Mapping[str, Any] | None:
    """Say what would become of the next rows."""
    return await _advance(step, trial=True)


async def _advance(step: Step, *, trial: bool) -> Mapping[str, Any] | None:
    source = await service.importing(step.session, step.input["source_id"])
    records, plan = await _opened(step)
    found = await _some(records)
    faults, told = _read(plan, found)
    good, refused = await _judged(step, source, told)
    progress = step.progress
    if trial:
        there = await known(step, [one.identifiers for one, _ in good])
        if there is None:
            progress["unknown"] = True
        else:
            _count(progress, updated=sum(there), created=len(there) - sum(there))
    elif good:
        await _publish(step, source.id, [event for _, said in good for event in said])
    faults = sorted([*faults, *refused])
    _count(progress, rows=len(found), accepted=len(good), rejected=len(faults))
    await _note(step, faults)
    progress.update(at=records.at, line=records.line)
    step.done = records.at
    return _result(progress, trial=trial) if records.ended else None


async def _opened(step: Step) -> tuple[Records, Plan]:
    """Where the last step ended; the header is read again each time."""
    import_id = UUID(step.input["import_id"])
    read = service.reads(step.session, import_id)
    await service.check_there(step.session, import_id)
    first = Records(read, step.input["delimiter"])
    plan = await service.plan_of(step.session, step.input, await service.header_of(first))
    if "at" not in step.progress:
        return first, plan
    return Records(read, step.input["delimiter"], step.progress["at"], step.progress["line"]), plan


async def _some(records: Records) -> list[Record]:
    found: list[Record] = []
    until = records.at + BYTES_AT_ONCE
    while len(found) < AT_ONCE and (record := await records.next(until)) is not None:
        found.append(record)
    return found


def _read(plan: Plan, found: Sequence[Record]) -> tuple[list[Fault], list[tuple[int, Told]]]:
    faults, told = [], []
    for record in found:
        if record.fault is not None:
            faults.append(Fault(record.line, "", "unreadable", record.fault))
            continue
        try:
            told.append((record.line, rows.told(plan, record.line, record.cells)))
        except Invalid as error:
            faults.append(Fault(record.line, error.column, error.code, error.reason))
    return faults, told


Judged = tuple[Told, list[AcceptedEvent]]  # a row and its events: one, or two


async def _judged(
    step: Step, source: Source, told: Sequence[tuple[int, Told]]
) -> tuple[list[Judged], list[Fault]]:  # fmt: skip
    """What the tracking API and the source's plan would say of the events; of what a row says besides, the API alone.

    A row goes as a whole or not at all.
    """
    plan = (await plans.in_force(step.session, [source], {})).get(source.id)
    good: list[Judged] = []
    faults: list[Fault] = []
    for start in range(0, len(told), JUDGED_AT_ONCE):
        some = told[start : start + JUDGED_AT_ONCE]
        envelope = Envelope(events=[msgspec.Raw(one.event) for _, one in some], imported=True)
        arrival = Arrival(source.id, datetime.now(UTC), envelope, anonymous=True)
        accepted, rejected = events.judge(arrival)
        if plan is not None:
            accepted, rejected, _ = await enforce(plan, arrival, accepted, rejected)
        lost = {one.at for one in rejected}
        left = [row for index, row in enumerate(some) if index not in lost]
        faults += (Fault(some[one.at][0], "", one.code, one.message) for one in rejected)
        for (line, one), event in zip(left, accepted, strict=True):
            beside, refused = _beside(source, one)
            good += [(one, [event, *beside])] if not refused else []
            faults += (Fault(line, "", two.code, two.message) for two in refused)
    return good, faults


def _beside(source: Source, told: Told) -> tuple[list[AcceptedEvent], list[Rejection]]:
    if told.more is None:
        return [], []
    envelope = Envelope(events=[msgspec.Raw(told.more)], imported=True)
    return events.judge(Arrival(source.id, datetime.now(UTC), envelope, anonymous=True))


async def _publish(step: Step, source_id: str, found: Sequence[AcceptedEvent]) -> None:
    settings = cast("GatewaySettings", step.runtime.settings)
    seconds, room = settings.publish_seconds, settings.in_flight_bytes
    publisher = Publisher(step.runtime.nats, seconds=seconds, in_flight_bytes=room)
    try:
        await publisher.publish(source_id, found, found[0].received_at)
    except Refusal as error:
        raise Unavailable(error.message, code=error.code) from error


def _count(progress: dict[str, Any], **more: int) -> None:
    for name, count in more.items():
        progress[name] = progress.get(name, 0) + count


async def _note(step: Step, faults: Sequence[Fault]) -> None:
    first = "noted" not in step.progress
    rows = [Fault._fields, *faults] if first else faults
    if rows:
        await step.append(ERRORS, sheets.lines(rows).encode(), sheets.MEDIA_TYPE)
    shown = step.progress.setdefault("errors", [])
    shown += [fault._asdict() for fault in faults[: SHOWN - len(shown)]]
    step.progress["noted"] = True


def _result(progress: Mapping[str, Any], *, trial: bool) -> dict[str, Any]:
    """Counts; who is new is told by a trial alone, and not while the service that knows is away."""
    names = [name for name in _COUNTS if trial or name not in {"created", "updated"}]
    said: dict[str, Any] = {name: progress.get(name, 0) for name in names}
    if trial and progress.get("unknown"):
        said |= {"created": None, "updated": None}
    return {**said, "errors": progress["errors"], "errors_file": ERRORS}
