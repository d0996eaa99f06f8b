"""Drop, in small transactions, what is kept no longer of changes and versions."""

from datetime import timedelta
from typing import cast

import structlog

from perennial.common.service import Job, ServiceRuntime
from perennial.segments.history import queries
from perennial.segments.settings import SegmentsSettings

log = structlog.get_logger()

BLOCKS = 200  # of the disk, looked through in one transaction: some 15,000 changes
VERSIONS = 500


async def keep_history(runtime: ServiceRuntime) -> None:
    """Promise less first, then drop. What dies in the middle begins again, and finds less."""
    settings = cast("SegmentsSettings", runtime.settings)
    await _sweep_changes(runtime, timedelta(days=settings.membership_change_days))
    left = True
    while left and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            left = bool(await queries.drop_versions(session, timedelta(days=settings.segment_version_days), VERSIONS))


async def _sweep_changes(runtime: ServiceRuntime, keep: timedelta) -> None:
    async with runtime.database.write() as session:
        until = await queries.promise(session, keep)
        end = await queries.blocks(session)
    dropped = 0
    for low in range(0, end, BLOCKS):
        if runtime.stopping.is_set():
            return
        async with runtime.database.write() as session:
            dropped += await queries.sweep(session, until, low, low + BLOCKS)
    async with runtime.database.write() as session:
        await queries.swept(session, until)
    log.info("history.swept", changes=dropped, until=str(until))


JOBS = (Job("history", timedelta(days=7), keep_history),)
