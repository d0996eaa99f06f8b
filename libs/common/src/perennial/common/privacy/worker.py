"""The loop that erases: one small transaction after the other, a receipt at the end.

Where a task stands is committed with what it deleted, so a process that dies in between does nothing twice, and
another goes on.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

import structlog

from perennial.common import faults, notify
from perennial.common.contracts import catalogue
from perennial.common.contracts.base import ErasedTable, ErasureReceipt
from perennial.common.db import WriteSession
from perennial.common.failures import is_infrastructure
from perennial.common.outbox import emit
from perennial.common.privacy import files, queries
from perennial.common.privacy.declaring import Privacy
from perennial.common.privacy.files import Files
from perennial.common.privacy.queries import Task
from perennial.common.privacy.terms import Held, Searched
from perennial.common.service import Service, ServiceRuntime

log = structlog.get_logger()

BATCH = 5000
SEARCHED = 500
AGAIN_SECONDS = 3600.0
IDLE_SECONDS = 60.0


async def loop(runtime: ServiceRuntime) -> None:
    """Forget whom the service was told to forget, for as long as the process lives."""
    if runtime.service.privacy is None:
        return
    while not runtime.stopping.is_set():
        runtime.beat("privacy")
        try:
            if not await step_once(runtime):
                await notify.wait(runtime, notify.PRIVACY, await _sleep(runtime))
        except Exception as error:  # noqa: BLE001 (whatever it is, the next task must be done)
            await _failed(runtime, error)


async def step_once(runtime: ServiceRuntime) -> bool:
    """One transaction of the task that has waited longest; whether there was one."""
    privacy = cast("Privacy", runtime.service.privacy)
    async with runtime.database.write() as session:
        task = await queries.take(session)
        if task is None:
            return False
        tables = list(privacy.all().items())
        if task.position == len(tables) and privacy.files is not None:
            await _forget_files(session, runtime, task, privacy.files)
        elif task.position >= len(tables):
            await _finish(session, runtime.service, task)
        else:
            name, held = tables[task.position]
            after = await _step(runtime, session, task, name, held)
            await queries.note(session, task, task.position + (after is None), after)
        faults.point(f"{runtime.name}.erasing")
    return True


async def _step(
    runtime: ServiceRuntime, session: WriteSession, task: Task, name: str, held: Held | Searched
) -> str | None:
    """Go on with a table; what to pass as `after` the next time, or None when it is done with."""
    if isinstance(held, Held):
        erased = await queries.erase(session, name, held, task.vias, BATCH)
        task.counts[name] = task.counts.get(name, 0) + erased
        return "" if erased else None
    rows = await queries.search(session, runtime.service.metadata, name, held, task.after or None, SEARCHED)
    keys = queries.found(runtime.settings, held, task.subject, rows)
    if keys:
        await queries.erase_found(session, runtime.service.metadata, name, held, keys)
    cut = await queries.cut_found(
        session, runtime.settings, runtime.service.metadata, name, held, task.subject, rows
    )  # fmt: skip
    task.counts[name] = task.counts.get(name, 0) + len(keys) + cut
    return str(rows[-1]["key_"]) if len(rows) == SEARCHED else None


async def _forget_files(session: WriteSession, runtime: ServiceRuntime, task: Task, which: Files) -> None:
    found = await files.forget(session, runtime.name, which, task.before, task.after)
    task.counts[files.TABLE] = task.counts.get(files.TABLE, 0) + found.operations
    await queries.note(session, task, task.position + (found.after is None), found.after)
    if found.waited:
        await queries.wait(session, task, files.WAIT_SECONDS)


async def _finish(session: WriteSession, service: Service, task: Task) -> None:
    if task.state == "settling":
        await queries.done(session, task)
        return
    await emit(session, await _receipt(session, service, task))
    await queries.settle(session, task, AGAIN_SECONDS)
    log.info("erasure.completed", erasure=str(task.id), rows=sum(task.counts.values()))


async def _receipt(session: WriteSession, service: Service, task: Task) -> ErasureReceipt:
    contract = cast("type[ErasureReceipt]", catalogue()[f"{service.name}.erasure.completed.v1"])
    tables = []
    for name, held in cast("Privacy", service.privacy).all().items():
        because = held.kept if isinstance(held, Held) else None
        kept = await queries.count(session, name, held, task.vias) if isinstance(held, Held) and because else 0
        if task.counts.get(name) or kept:
            erased = task.counts.get(name, 0)
            tables.append(ErasedTable(table=name, erased=erased, kept=kept, because=because if kept else None))
    if task.counts.get(files.TABLE):
        tables.append(ErasedTable(table=files.TABLE, erased=task.counts[files.TABLE], kept=0))
    return contract(erasure_id=task.id, customer=task.customer_id, tables=tables)


async def _failed(runtime: ServiceRuntime, error: Exception) -> None:
    """The world's failures pass; another one puts its task behind the others, and is seen in its row."""
    if is_infrastructure(error):
        log.warning("privacy.waiting", error=repr(error))
        await runtime.pause(1)
        return
    log.error("privacy.failed", exc_info=error)
    try:
        async with runtime.database.write() as session:
            await queries.put_off(session, type(error).__name__)
    except Exception as second:
        if not is_infrastructure(second):
            raise
        await runtime.pause(1)


async def _sleep(runtime: ServiceRuntime) -> float:
    async with runtime.database.read() as session:
        away = await queries.away(session)
    return IDLE_SECONDS if away is None else min(IDLE_SECONDS, max(0.05, away))


async def run_all(runtime: ServiceRuntime, most: int = 10_000) -> None:
    """Every step that is due, for tests and by hand."""
    for _ in range(most):
        if not await step_once(runtime):
            return
    await asyncio.sleep(0)


def tables_of(service: Service) -> Sequence[str]:
    """What the service says it erases from, in that order."""
    return list(service.privacy.all()) if service.privacy else []
