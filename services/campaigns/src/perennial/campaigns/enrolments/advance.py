"""Taking the next steps of a batch of enrolments: rules and messages are asked for all of them at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from uuid import UUID

from perennial.campaigns.enrolments import queries
from perennial.campaigns.enrolments.queries import Walking
from perennial.campaigns.enrolments.service import ended
from perennial.campaigns.enrolments.walk import Walk
from perennial.campaigns.messages import queries as messages
from perennial.campaigns.messages.service import Wish, approve, withhold
from perennial.campaigns.plans.plan import NOTHING
from perennial.campaigns.plans.steps import ConditionStep, MessageStep, WaitStep
from perennial.campaigns.plans.versions import plans
from perennial.campaigns.wakes import wake
from perennial.common.db import WriteSession
from perennial.common.outbox import emit
from perennial.common.rules import View
from perennial.common.rules.facts import load_views


async def advance(session: WriteSession, due: Sequence[tuple[Walking, datetime]]) -> None:
    """Take the step that each open enrolment is due for at an instant; its customer must be locked."""
    found = await plans(session, {(walking.journey_id, walking.version) for walking, _ in due})
    walks = [Walk(walking, found[walking.journey_id, walking.version], at) for walking, at in due]
    resumed = [walk for walk in walks if walk.start.state == "waiting"]
    for walk in walks:
        if walk.start.state == "active":
            walk.enter()
    moved = [walk for walk in walks if walk.start.state == "active"]
    moved += await _resume(session, resumed)
    await _ask(session, moved)
    await _write(session, moved)


async def _resume(session: WriteSession, walks: list[Walk]) -> list[Walk]:
    """Those whose rest is over go on; returns whoever stands elsewhere, or otherwise, than before."""
    moved, early = [], []
    at_messages = [(walk.start.id, walk.step) for walk in walks if isinstance(walk.current, MessageStep)]
    known = await messages.at_steps(session, at_messages)
    for walk in walks:
        walk.state, walk.due_at = "waiting", walk.start.due_at
        message = known.get(walk.start.id)
        if walk.start.due_at is not None and walk.start.due_at > walk.at:
            early.append((walk.start.id, walk.start.via, walk.start.due_at))
        elif isinstance(walk.current, WaitStep):
            walk.leave("waited")
            moved.append(walk)
        elif message is not None and message.status != "queued":
            walk.leave("sent" if message.status == "sent" else message.reason or message.status)
            moved.append(walk)
        elif message is None or not message.approved:
            walk.state = "active"
            moved.append(walk)
    await wake(session, early)
    return moved


async def _ask(session: WriteSession, walks: list[Walk]) -> None:
    """Answer conditions and send messages, all walks abreast, until every walk rests or has ended."""
    pending = [walk for walk in walks if walk.state == "active"]
    while pending:
        await _conditions(session, [walk for walk in pending if isinstance(walk.current, ConditionStep)])
        pending = [walk for walk in pending if walk.state == "active"]
        await _messages(session, [walk for walk in pending if isinstance(walk.current, MessageStep)])
        pending = [walk for walk in pending if walk.state == "active"]


async def _conditions(session: WriteSession, walks: list[Walk]) -> None:
    """Views are loaded once for all; each rule is asked as of its own instant."""
    while asking := [walk for walk in walks if walk.state == "active" and isinstance(walk.current, ConditionStep)]:
        rules = {id(walk): walk.plan.conditions[walk.step] for walk in asking}
        reads = reduce(or_, (rule.reads for rule in rules.values()), NOTHING)
        customers = sorted({walk.start.customer_id for walk in asking})
        views = await load_views(session, customers, reads, min(walk.at for walk in asking))
        for walk in asking:
            view: View = views[walk.start.customer_id]
            walk.leave("yes" if rules[id(walk)].holds(view, walk.at) else "no")


async def _messages(session: WriteSession, walks: list[Walk]) -> None:
    """Approve or refuse; an approved message holds its walk until the sender has settled it."""
    known = await messages.at_steps(session, [(walk.start.id, walk.step) for walk in walks])
    wishes = [_wish(walk, known.get(walk.start.id)) for walk in walks]
    verdicts = await approve(session, wishes, datetime.now(UTC))
    for walk, verdict in zip(walks, verdicts, strict=True):
        if verdict.status == "queued":
            walk.rest(verdict.until)
        else:
            walk.leave(verdict.reason or verdict.status)


def _wish(walk: Walk, known: messages.AtStep | None) -> Wish:
    step = walk.current
    assert isinstance(step, MessageStep)  # noqa: S101 (asked before)
    return walk.wish(step, known.id if known else None)


async def _write(session: WriteSession, walks: list[Walk]) -> None:
    now = datetime.now(UTC)
    await queries.move(session, [walk.move(now) for walk in walks])
    await queries.put_steps(session, [row for walk in walks for row in walk.rows.values()])
    await withhold(session, [wish for walk in walks for wish in walk.withheld], now)
    resting: list[tuple[UUID, UUID, datetime]] = [
        (walk.start.id, walk.start.via, walk.due_at) for walk in walks if walk.due_at is not None
    ]
    await wake(session, resting)
    await emit(session, *(ended(walk.start, walk.step, walk.reason or "") for walk in walks if walk.ended))
