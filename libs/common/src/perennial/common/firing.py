"""Firing timers: in batches, each when everything said before its instant has been handled."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import notify, watermark
from perennial.common.db import WriteSession
from perennial.common.failures import is_infrastructure
from perennial.common.ids import PARTITIONS
from perennial.common.messaging.worker import hears_events
from perennial.common.service import ServiceRuntime
from perennial.common.timers import Timer, TimerHandler, next_due, schedule

log = structlog.get_logger()
lateness = metrics.get_meter("perennial").create_histogram(
    "perennial.timer.lateness",
    unit="s",
    explicit_bucket_boundaries_advisory=[0.1, 0.25, 0.5, 1, 2, 5, 15, 60, 300, 3600],
)

BATCH = 200
LONGEST_SLEEP = 30.0
RETRY_SECONDS = 0.25
PUT_OFF = timedelta(minutes=1)

_WAITING = text("""
    SELECT partition, min(due_at) AS due_at FROM (
        SELECT partition, due_at FROM timer
        WHERE due_at <= :now AND kind = ANY(:kinds) AND NOT coalesce(partition, -1) = ANY(:held)
        ORDER BY due_at LIMIT :n) AS first
    GROUP BY partition""")
# `passed`: of no partition, then of each by its number.
_DUE = text("""
    SELECT id, kind, key, due_at, partition, payload FROM timer
    WHERE due_at <= :now AND kind = ANY(:kinds)
      AND due_at <= (CAST(:passed AS timestamptz[]))[coalesce(partition, -1) + 2]
    ORDER BY due_at LIMIT :n FOR UPDATE SKIP LOCKED""")


async def fire_due(runtime: ServiceRuntime, now: datetime) -> int:
    """Fire, in one transaction, the due timers whose instant the pipeline has passed; returns how many.

    A partition that lags holds up its own timers and no others; kinds that nobody here knows are left alone.
    """
    handlers = runtime.service.timers
    passed = await _passed_by(runtime, now)
    if not passed:
        return 0
    async with runtime.database.write() as session:
        behind = [passed.get(partition) for partition in (None, *range(PARTITIONS))]
        asked = {"now": now, "n": BATCH, "kinds": list(handlers), "passed": behind}
        due = (await session.execute(_DUE, asked)).all()
        await session.execute(text("DELETE FROM timer WHERE id = ANY(:ids)"), {"ids": [row.id for row in due]})
        for kind, handler in handlers.items():
            timers = [
                Timer(row.kind, row.key, row.due_at, row.payload, row.partition, passed[row.partition])
                for row in due
                if row.kind == kind
            ]
            if timers:
                await _fire(session, handler, timers)
    for row in due:
        lateness.record((now - row.due_at).total_seconds(), {"kind": row.kind})
    return len(due)


async def _passed_by(runtime: ServiceRuntime, now: datetime) -> dict[int | None, datetime]:
    """How far the pipeline has come in the partitions of the first due timers; empty when it has passed none.

    Asked before the transaction: whoever moves a timer must not wait for the broker's answer.
    """
    held: set[int] = set()
    while True:
        asked = {"now": now, "n": BATCH, "kinds": list(runtime.service.timers), "held": sorted(held)}
        async with runtime.database.read() as session:
            rows = (await session.execute(_WAITING, asked)).all()
        if not rows:
            return {}
        passed = await _passed(runtime, [row.partition for row in rows])
        if any(row.due_at <= passed[row.partition] for row in rows):
            return passed
        held |= {-1 if row.partition is None else row.partition for row in rows}


async def _fire(session: WriteSession, handler: TimerHandler, timers: list[Timer]) -> None:
    """All at once; when one is at fault, one by one, and the one that fails is put off for a minute."""
    try:
        async with session.begin_nested():
            await handler(session, timers)
    except Exception as error:
        if is_infrastructure(error):
            raise
        if len(timers) > 1:
            for timer in timers:
                await _fire(session, handler, [timer])
            return
        log.exception("timer.put_off", kind=timers[0].kind, key=timers[0].key)
        await schedule(session, [replace(timers[0], due_at=datetime.now(UTC) + PUT_OFF)])


async def _passed(runtime: ServiceRuntime, partitions: Sequence[int | None]) -> dict[int | None, datetime]:
    if not hears_events(runtime.service):
        return dict.fromkeys(partitions, datetime.now(UTC))
    return await watermark.behind(runtime.js, runtime.name, partitions)


async def loop(runtime: ServiceRuntime) -> None:
    """Fire timers for as long as the process lives."""
    if not runtime.service.timers:
        return
    while not runtime.stopping.is_set():
        runtime.beats["timers"] = asyncio.get_running_loop().time()
        try:
            if await fire_due(runtime, datetime.now(UTC)) == 0:
                await notify.wait(runtime, notify.TIMERS, await _sleep(runtime))
        except Exception as error:
            if is_infrastructure(error):
                log.warning("timers.waiting", error=repr(error))
            else:
                log.exception("timers.failed")
            await runtime.pause(1)


async def _sleep(runtime: ServiceRuntime) -> float:
    async with runtime.database.read() as session:
        due = await next_due(session)
    if due is None:
        return LONGEST_SLEEP
    away = (due - datetime.now(UTC)) / timedelta(seconds=1)
    return RETRY_SECONDS if away <= 0 else min(LONGEST_SLEEP, away)
