"""Whom a build concerns beside those it lets in or out: marked to be computed once it serves.

From `begin` to `settle` every derivation notes whom it touched (see `deriving`): it knew the rule before, and what it
read may be newer than what the build has compared. Derivations hold a gate, which both wait for, so none is in flight.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from perennial.common import notify, rules
from perennial.common.db import WriteSession, lock
from perennial.common.failures import is_infrastructure
from perennial.common.rules import Rule, Sql
from perennial.common.runtime import Runtime
from perennial.segments.rfm.standings.queries import GATE

# Whoever waits for the gate holds up all derivations that come after.
GATE_SECONDS, AWAITING_SECONDS = 2, 40
QUERY_CANCELED = "57014"

_LATER = "false, now() + interval '1 second'"
_NOTE = text("""
    INSERT INTO build_touched (customer_id)
    SELECT unnest(CAST(:ids AS uuid[])) WHERE EXISTS (SELECT FROM build) ON CONFLICT DO NOTHING""")
_MARK_TOUCHED = text(f"INSERT INTO stale (customer_id, live, at) SELECT customer_id, {_LATER} FROM build_touched")
_MARK_MOVED = text(f"""
    INSERT INTO stale (customer_id, live, at) SELECT customer_id, {_LATER} FROM staged_member
    WHERE operation_id = :operation AND version IS NOT NULL""")
_MARK_EVERYONE = text(f"""
    INSERT INTO stale (customer_id, live, at) SELECT via, {_LATER} FROM identity_map WHERE via = customer_id""")
_FORGOTTEN = text("""
    SELECT b.operation_id, o.progress ->> 'phase' = 'settle' AS serves
    FROM build AS b LEFT JOIN operation AS o ON o.id = b.operation_id
    WHERE o.id IS NULL OR o.state NOT IN ('queued', 'running')""")


async def begin(runtime: Runtime, operation: UUID) -> None:
    """From here on derivations note whom they touch, and none is in flight that does not."""
    async with runtime.database.write() as session:
        await _close(session)
        statement = text("INSERT INTO build (operation_id) VALUES (:id) ON CONFLICT DO NOTHING")
        await session.execute(statement, {"id": operation})


async def note(session: WriteSession, customers: Collection[UUID]) -> None:
    """Note for the builds under way that these have been derived."""
    await session.execute(_NOTE, {"ids": list(customers)})


async def mark_moved(session: WriteSession, operation: UUID) -> None:
    """Have whoever a build has let in or out computed again, where other rules ask for the segment."""
    await session.execute(_MARK_MOVED, {"operation": operation})
    await notify.notify(session, notify.STALE)


async def settle(session: WriteSession, operation: UUID, rule: Rule, now: datetime) -> None:
    """The rule serves: mark those for whom the clock may change its answer, and those who were touched meanwhile."""
    await _mark_awaiting(session, rules.awaiting_sql(rule, now))
    await _close(session)
    await session.execute(_MARK_TOUCHED)
    await _end(session, operation)
    await notify.notify(session, notify.STALE)


async def give_up(session: WriteSession) -> None:
    """Nobody goes on with what was cancelled or has failed; what serves since is settled all the same."""
    rows = (await session.execute(_FORGOTTEN)).all()
    if not rows:
        return
    await _close(session)
    await session.execute(_MARK_EVERYONE if any(row.serves for row in rows) else _MARK_TOUCHED)
    for row in rows:
        await _end(session, row.operation_id)
    await notify.notify(session, notify.STALE)


async def _close(session: WriteSession) -> None:
    """Until this transaction ends no derivation is in flight. Raises DBAPIError where one takes long."""
    await session.execute(text(f"SET LOCAL lock_timeout = '{GATE_SECONDS}s'"))
    await lock(session, *GATE)
    await session.execute(text("SET LOCAL lock_timeout TO DEFAULT"))


async def _mark_awaiting(session: WriteSession, query: Sql | None) -> None:
    if query is None:
        return
    statement = (
        f"INSERT INTO stale (customer_id, live, at) SELECT customer_id, {_LATER} FROM ({query.text}) AS awaiting"
    )
    try:
        async with session.begin_nested():
            await session.execute(text(f"SET LOCAL statement_timeout = '{AWAITING_SECONDS}s'"))
            await session.execute(text(statement), query.params)
            await session.execute(text("SET LOCAL statement_timeout TO DEFAULT"))
    except DBAPIError as error:
        if is_infrastructure(error) and getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        await session.execute(_MARK_EVERYONE)


async def _end(session: WriteSession, operation: UUID) -> None:
    await session.execute(text("DELETE FROM build WHERE operation_id = :id"), {"id": operation})
    await session.execute(text("DELETE FROM build_touched WHERE NOT EXISTS (SELECT FROM build)"))
