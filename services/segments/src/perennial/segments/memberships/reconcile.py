"""The nightly comparison of memberships with what SQL says, and what looks after backfills that ended otherwise."""

from datetime import UTC, datetime

import structlog
from opentelemetry import metrics
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError

from perennial.common import operations
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.derive import mark
from perennial.common.failures import is_infrastructure
from perennial.common.rules import RuleError
from perennial.segments.definitions import queries as definitions
from perennial.segments.definitions.service import BACKFILL
from perennial.segments.memberships import building, queries, service

log = structlog.get_logger()
_meter = metrics.get_meter("perennial")
drifted = _meter.create_counter("perennial.segments.drift", description="Memberships that had to be repaired: none.")
unchecked = _meter.create_counter("perennial.segments.unchecked", description="Segments that took too long to compare.")

SECONDS = 50
ITSELF = Principal("service", "segments", frozenset())


async def reconcile(session: WriteSession, row: Row[object]) -> int:
    """Compare one segment with what SQL says; returns how many memberships differ, which must be none.

    Who waits to be computed anyhow is left out. The customers that differ are computed again under their locks.
    """
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL statement_timeout = '{SECONDS}s'"))
            differing = await queries.drift(session, row.id, service.held(row, datetime.now(UTC)))
            await session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    except (DBAPIError, RuleError) as error:
        cause = getattr(error, "orig", error)
        if is_infrastructure(error) and getattr(cause, "sqlstate", "") != "57014":
            raise
        log.warning("segment.unchecked", segment_id=str(row.id), error=repr(cause))
        unchecked.add(1)
        return 0
    if differing:
        log.error("segment.drifted", segment_id=str(row.id), customers=len(differing))
        await mark(session, differing, live=False)
    drifted.add(len(differing))
    return len(differing)


async def attend(session: WriteSession) -> None:
    """Segments to build that no operation builds: an operation that did not succeed has failed, else one is started."""
    for row in await definitions.unattended(session):
        if row.ended in {None, "succeeded"}:
            started = await operations.start(session, ITSELF, BACKFILL, {"segment_id": str(row.id)})
            await definitions.build(session, row.id, started.id)
        else:
            await definitions.fail(session, row.id, f"its backfill has {row.ended}")
    await queries.unstage_leftovers(session)
    await building.give_up(session)


async def empty_archived(session: WriteSession) -> bool:
    """Some of those who are still in an archived segment leave it; whether there were any."""
    row = await queries.left_over(session)
    if row is not None:
        await service.empty(session, row.id, row.name)
    return row is not None
