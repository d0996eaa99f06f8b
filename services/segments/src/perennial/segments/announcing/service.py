"""Announcing the members of a segment, as an operation: a page of them a step.

Each is said as an entry with the version of their membership, so that whoever knows that version has nothing to do. A
page and how far it goes are one transaction: whoever dies in between has said nothing of it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import operations
from perennial.common.auth import Principal
from perennial.common.contracts.segments import MembershipEntered
from perennial.common.db import WriteSession
from perennial.common.operations import OperationOut, Step
from perennial.common.outbox import emit
from perennial.common.problems import Conflict, Unavailable, Unprocessable
from perennial.segments.announcing import queries
from perennial.segments.definitions import queries as definitions

ANNOUNCE = "announce"
AT_ONCE = 500
MOST_WAITING = 500  # in the outbox: what happens meanwhile is published within moments all the same


async def start(session: WriteSession, who: Principal, row: Row[Any], since: datetime | None) -> OperationOut:
    """Announce the members of a segment (held). Raises Conflict when none of it serves, or while that is going on."""
    if row.serving_version is None and row.state != "live":
        raise Conflict("segment: no version of it serves", code="not_serving")
    if await queries.running(session, ANNOUNCE, row.id):
        raise Conflict("segment: its members are being announced already", code="announcing")
    given = {"segment_id": str(row.id), "since": since and since.isoformat()}
    return await operations.start(session, who, ANNOUNCE, given)


async def step(step: Step) -> Mapping[str, Any] | None:
    """The next page."""
    segment_id, since = UUID(step.input["segment_id"]), step.input["since"]
    [segment] = await definitions.named(step.session, [segment_id])
    if segment.state == "archived":
        raise Unprocessable("segment: it was archived meanwhile", code="archived")
    if await queries.waiting(step.session, MOST_WAITING):
        raise Unavailable("announce: facts that are already said wait to be published")
    earliest, after = since and datetime.fromisoformat(since), step.progress.get("after")
    if step.total is None:
        step.total = await queries.count(step.session, segment_id, earliest)
    rows = await queries.page(step.session, segment_id, earliest, after and UUID(after), AT_ONCE)
    await emit(step.session, *(_entered(segment, row) for row in rows))
    step.done += len(rows)
    if len(rows) < AT_ONCE:
        return {"announced": step.done}
    step.progress = {"after": str(rows[-1].customer_id)}
    return None


def _entered(segment: Row[Any], row: Row[Any]) -> MembershipEntered:
    return MembershipEntered(
        segment_id=segment.id,
        segment_name=segment.name,
        customer=row.customer_id,
        version=row.version,
        announced=True,
        occurred_at=row.since,
    )
