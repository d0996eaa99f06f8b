"""The step timer: fires an enrolment's next step when all that was said of its customer before is known."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from perennial.campaigns.enrolments import queries
from perennial.campaigns.enrolments.advance import advance
from perennial.campaigns.enrolments.queries import Walking
from perennial.campaigns.enrolments.service import settle_exits, settle_merged
from perennial.campaigns.messages.service import withdraw
from perennial.common import timers
from perennial.common.db import WriteSession
from perennial.common.identity_map import lock_customers, vias_of
from perennial.common.ids import partition_of
from perennial.common.timers import Timer

LATE = timedelta(seconds=2)


async def step_due(session: WriteSession, due: list[Timer]) -> None:
    """Advance the enrolments that these timers name.

    The watermark is asked for one partition; a customer's other identifiers may speak in others, so the timer goes
    through all of them first. One that fires late, after an outage, waits for what was said until now: what a
    customer did while nobody listened must be known before anything is sent.
    """
    by_id = {UUID(timer.key): timer for timer in due}
    walking = await queries.walking(session, sorted(by_id))
    await withdraw(session, [item.id for item in walking if item.ended_at is not None], datetime.now(UTC))
    going = [item for item in walking if item.ended_at is None and not item.paused]
    ready = await _ready(session, going, by_id)
    await lock_customers(session, {item.customer_id for item in ready})
    await _advance(session, ready, by_id)


async def _ready(session: WriteSession, going: Sequence[Walking], by_id: dict[UUID, Timer]) -> list[Walking]:
    """Those who need not wait for anything else; the others' timers are set again."""
    vias = await vias_of(session, {item.customer_id for item in going})
    now, ready, again = datetime.now(UTC), [], []
    for item in going:
        timer = by_id[item.id]
        if now - timer.due_at > LATE and not timer.payload.get("late"):
            again.append(replace(timer, due_at=now, payload={"late": True}))
            continue
        passed = {*timer.payload.get("passed", ()), timer.partition}
        # A customer bears the id of one of its identifiers, whether the map has told of that one yet or not.
        ahead = {partition_of(via) for via in (item.customer_id, *vias.get(item.customer_id, ()))} - passed
        if ahead:
            payload = {**timer.payload, "passed": sorted(part for part in passed if part is not None)}
            again.append(replace(timer, payload=payload, partition=min(ahead)))
        else:
            ready.append(item)
    await timers.schedule(session, again)
    return ready


async def _advance(session: WriteSession, ready: Sequence[Walking], by_id: dict[UUID, Timer]) -> None:
    """With the customers locked: whoever was merged meanwhile comes back, whoever has left goes no further."""
    await settle_exits(session, [item.customer_id for item in ready])
    await settle_merged(session, [item.customer_id for item in ready])
    before = {item.id: item.customer_id for item in ready}
    current = await queries.walking(session, sorted(before), lock=True)
    still = [item for item in current if item.ended_at is None]
    merged = [item for item in still if item.customer_id != before[item.id]]
    await timers.schedule(session, [by_id[item.id] for item in merged])
    await advance(session, [(item, by_id[item.id].due_at) for item in still if item not in merged])
