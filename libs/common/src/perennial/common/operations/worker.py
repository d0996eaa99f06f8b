"""The loop that does operations, a step of each in turn, and what sweeps out the old ones.

The fence is an advisory lock of the step's own transaction: a worker that died holds nothing, and one that only seemed
dead cannot commit beside its successor. Nobody who cancels or asks waits for a step: the row is written at its end.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import notify
from perennial.common.auth import Principal
from perennial.common.db import WriteSession, try_lock
from perennial.common.failures import is_infrastructure
from perennial.common.operations.starting import KEEP
from perennial.common.operations.steps import Step
from perennial.common.problems import Problem, Unavailable
from perennial.common.service import ServiceRuntime

log = structlog.get_logger()
ended = metrics.get_meter("perennial").create_counter("perennial.operations", description="Operations ended.")

IDLE_SECONDS = 30.0
BUSY_SECONDS = 1.0  # while another worker is at it: it may die
MOST_BEGUN = 5
LONGEST_WAIT = 60

_NEXT = text("""
    SELECT id FROM operation
    WHERE state IN ('queued', 'running') AND next_at <= clock_timestamp() AND (kind = ANY(:kinds) OR cancelling)
    ORDER BY next_at, id LIMIT 16""")
_AWAY = text("""
    SELECT extract(epoch FROM min(next_at) - clock_timestamp()) FROM operation
    WHERE state IN ('queued', 'running') AND kind = ANY(:kinds)""")
_BEGIN = text("""
    UPDATE operation SET state = 'running', started_at = coalesce(started_at, clock_timestamp()), begun = begun + 1
    WHERE id = :id AND state IN ('queued', 'running')
    RETURNING id, kind, principal, input, progress, done, total, begun, cancelling""")
_GO_ON = text("""
    UPDATE operation SET progress = CAST(:progress AS jsonb), done = :done, total = :total, begun = 0, tries = 0,
        next_at = clock_timestamp()
    WHERE id = :id""")
_PUT_OFF = text("""
    UPDATE operation SET begun = 0, tries = least(tries + 1, 30),
        next_at = clock_timestamp() + make_interval(secs => least(:longest, power(2, tries)))
    WHERE id = :id AND NOT cancelling""")
_END = text("""
    UPDATE operation SET state = :state, result = CAST(:result AS jsonb), error = CAST(:error AS jsonb),
        cancelling = false, finished_at = clock_timestamp(), expires_at = clock_timestamp() + :keep
    WHERE id = :id RETURNING kind""")
_SWEEP = text("""
    DELETE FROM operation
    WHERE id IN (SELECT id FROM operation WHERE expires_at < now() ORDER BY expires_at LIMIT 10)""")


async def loop(runtime: ServiceRuntime) -> None:
    """Do operations for as long as the process lives."""
    if not runtime.service.operations:
        return
    while not runtime.stopping.is_set():
        runtime.beat("operations")
        try:
            if not await step_once(runtime):
                await notify.wait(runtime, notify.OPERATIONS, await _sleep(runtime))
        except Exception as error:
            if is_infrastructure(error):
                log.warning("operations.waiting", error=repr(error))
            else:
                log.exception("operations.failed")
            await runtime.pause(1)


async def step_once(runtime: ServiceRuntime) -> bool:
    """One step of the operation that has waited longest; whether there was one that nobody else is at."""
    async with runtime.database.read() as session:
        waiting = (await session.execute(_NEXT, {"kinds": list(runtime.service.operations)})).scalars().all()
    for operation_id in waiting:
        if await _step(runtime, operation_id):
            return True
    return False


async def sweep(runtime: ServiceRuntime) -> None:
    """Delete what has expired, with its files, in small transactions."""
    deleted = 1
    while deleted and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            deleted = int((await session.execute(_SWEEP)).rowcount)  # type: ignore[attr-defined]


async def _sleep(runtime: ServiceRuntime) -> float:
    async with runtime.database.read() as session:
        away = (await session.execute(_AWAY, {"kinds": list(runtime.service.operations)})).scalar_one()
    return IDLE_SECONDS if away is None else min(IDLE_SECONDS, max(BUSY_SECONDS, float(away)))


async def _step(runtime: ServiceRuntime, operation_id: UUID) -> bool:
    try:
        async with runtime.database.write() as session:
            if not await try_lock(session, runtime.name, "operation", operation_id):
                return False
            found = await _begin(runtime, operation_id)
            if found is not None:
                await _advance(runtime, session, found)
    except Exception as error:
        if not _passes(error):
            raise
        log.warning("operation.put_off", id=str(operation_id), error=repr(error))
        async with runtime.database.write() as session:
            await session.execute(_PUT_OFF, {"id": operation_id, "longest": LONGEST_WAIT})
    return True


async def _begin(runtime: ServiceRuntime, operation_id: UUID) -> Any:
    """Note, in a transaction of its own, that a step begins: only so is it known afterwards that one has killed us."""
    async with runtime.database.write() as session:
        return (await session.execute(_BEGIN, {"id": operation_id})).one_or_none()


async def _advance(runtime: ServiceRuntime, session: WriteSession, found: Any) -> None:
    if found.cancelling:
        await _end(session, found.id, "cancelled")
        return
    if found.begun > MOST_BEGUN:
        lost = Problem(f"the worker was lost {MOST_BEGUN} times at the same step", code="worker_lost")
        await _end(session, found.id, "failed", error=_said(lost))
        return
    step = Step(
        runtime, session, found.id, found.kind, _principal(found.principal), found.input, found.progress, found.done,
        found.total,
    )  # fmt: skip
    try:
        async with session.begin_nested():
            result = await runtime.service.operations[found.kind](step)
            await _save(step)
            if result is not None:
                await _end(session, step.id, "succeeded", result=result)
    except Exception as error:
        if _passes(error):
            raise
        if not isinstance(error, Problem):
            log.exception("operation.failed", id=str(found.id), kind=found.kind)
            error = Problem("an unexpected error; it has been logged")
        await _end(session, found.id, "failed", error=_said(error))


def _passes(error: Exception) -> bool:
    """Whether waiting can help."""
    return isinstance(error, Unavailable) or is_infrastructure(error)


async def _save(step: Step) -> None:
    bound = {"id": step.id, "progress": json.dumps(step.progress), "done": step.done, "total": step.total}
    await step.session.execute(_GO_ON, bound)


async def _end(
    session: WriteSession, operation_id: UUID, state: str, *,
    result: Mapping[str, Any] | None = None, error: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    bound = {
        "id": operation_id,
        "state": state,
        "result": None if result is None else json.dumps(dict(result), default=str),
        "error": error and json.dumps(error),
        "keep": KEEP,
    }
    kind = (await session.execute(_END, bound)).scalar_one()
    ended.add(1, {"kind": kind, "state": state})


def _said(problem: Problem) -> dict[str, Any]:
    """A problem as an operation keeps it: without what belongs to one request."""
    said = {
        "type": problem.type,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.members,
    }
    if problem.errors:
        said["errors"] = [item.model_dump() for item in problem.errors]
    return said


def _principal(kept: Mapping[str, Any]) -> Principal:
    return Principal(kept["kind"], kept["id"], frozenset(kept["scopes"]), fields=frozenset(kept["fields"]))
