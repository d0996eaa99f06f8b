"""Building a version of a segment, as an operation: the version before serves until the new one takes its place.

Five kinds of steps: compare with what SQL says (`stage`), change all at once (`switch`), mark whom the clock or a
derivation of meanwhile may change (`settle`), say so (`tell`), or, when the database refused, `fail`. A version
that was replaced meanwhile is built no further.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from perennial.common import rules
from perennial.common.contracts.segments import MembershipsChanged
from perennial.common.db import WriteSession, try_lock
from perennial.common.failures import is_infrastructure
from perennial.common.operations import Step
from perennial.common.outbox import emit
from perennial.common.problems import Unavailable, Unprocessable
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships import building, queries, service

log = structlog.get_logger()

# The first is so short that a slow rule lets the others pass; the second is below the connection's own limit.
PATIENCE, MOST_PATIENCE = 5.0, 50.0
QUERY_CANCELED = "57014"
NOBODY = {"not": {"everyone": True}}  # of a segment that was archived meanwhile
SUPERSEDED = {"outcome": "superseded"}

Phase = Callable[[Step, UUID], Awaitable[Mapping[str, Any] | None]]


async def step(step: Step) -> Mapping[str, Any] | None:
    """The next step of a backfill."""
    return await _PHASES[step.progress.get("phase", "stage")](step, UUID(step.input["segment_id"]))


async def _stage(step: Step, segment_id: UUID) -> Mapping[str, Any] | None:
    row = await definitions.building(step.session, segment_id, step.id, held=False)
    if row is None:
        return SUPERSEDED
    now, seconds = datetime.now(UTC), step.progress.get("seconds", PATIENCE)
    if seconds > PATIENCE and not await try_lock(step.session, "segments", "patience"):
        raise Unavailable("build: another slow rule is being computed")  # the other lane is for the quick ones
    query = rules.to_sql(rules.parse(row.rule), now)
    await building.begin(step.runtime, step.id)
    try:
        async with step.session.begin_nested():
            await step.session.execute(text(f"SET LOCAL statement_timeout = '{seconds}s'"))
            step.total = await queries.stage(step.session, step.id, segment_id, query)
            await step.session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    except DBAPIError as error:
        await _refused(step, segment_id, error, seconds)
        return None
    step.progress = {"phase": "switch", "as_of": now.isoformat()}
    return None


async def _refused(step: Step, segment_id: UUID, error: DBAPIError, seconds: float) -> None:
    slow = getattr(error.orig, "sqlstate", "") == QUERY_CANCELED
    if is_infrastructure(error) and not slow:
        raise error
    if slow and seconds < MOST_PATIENCE:
        step.progress = {"seconds": MOST_PATIENCE}
        return
    log.warning("segment.failed", segment_id=str(segment_id), error=repr(error.orig))
    said = f"the rule takes longer than {seconds:g} s to compute" if slow else str(error.orig)[:500]
    await definitions.fail(step.session, segment_id, said)
    step.progress = {"phase": "fail", "error": said}


async def _fail(step: Step, _: UUID) -> None:
    raise Unprocessable(step.progress["error"], code="segment_failed")


async def _switch(step: Step, segment_id: UUID) -> Mapping[str, Any] | None:
    row = await definitions.building(step.session, segment_id, step.id, held=True)
    if row is None:
        await queries.unstage(step.session, step.id)
        return SUPERSEDED
    now = datetime.now(UTC)
    step.total = await queries.switch(step.session, step.id, segment_id, now)
    await definitions.serve(step.session, segment_id, datetime.fromisoformat(step.progress["as_of"]))
    if await definitions.users_of(step.session, segment_id):
        await building.mark_moved(step.session, step.id)
    step.progress = {"phase": "settle", "at": now.isoformat(), "version": row.version}
    log.info("segment.built", segment_id=str(segment_id), version=row.version, moved=step.total)
    return None


async def _settle(step: Step, segment_id: UUID) -> None:
    rule = rules.parse((await definitions.serving_rule(step.session, segment_id)) or NOBODY)
    await building.settle(step.session, step.id, rule, datetime.now(UTC))
    step.progress = {**step.progress, "phase": "tell"}


async def _tell(step: Step, segment_id: UUID) -> Mapping[str, Any] | None:
    names = {segment_id: await definitions.name_of(step.session, segment_id)}
    told = await _say(step.session, step.id, names, datetime.fromisoformat(step.progress["at"]))
    if not told:
        await queries.unstage(step.session, step.id)
        return {"outcome": "live", "version": step.progress["version"], "changed": step.done}
    step.done += told
    return None


async def _say(session: WriteSession, operation: UUID, names: Mapping[UUID, str], at: datetime) -> int:
    """Say some of what an operation has changed; returns how many."""
    rows = await queries.told(session, operation, service.AT_ONCE)
    said = [service.state(row, names, at, member=row.member) for row in rows]
    parts = (said[start : start + service.PER_FACT] for start in range(0, len(said), service.PER_FACT))
    await emit(session, *(MembershipsChanged(memberships=part) for part in parts))
    return len(rows)


async def tell_rest(session: WriteSession) -> bool:
    """Say some of what a build has changed that was cancelled before it had said all; whether there was any."""
    row = await queries.untold(session)
    return row is not None and await _say(session, row.id, {row.segment_id: row.name}, row.at) > 0


_PHASES: dict[str, Phase] = {"stage": _stage, "switch": _switch, "settle": _settle, "tell": _tell, "fail": _fail}
