"""Time-driven work of segments: the nightly reconciliation, and looking after builds."""

from datetime import timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships import backfill
from perennial.segments.memberships import reconcile as memberships


async def reconcile(runtime: Runtime) -> None:
    """Compare memberships with what SQL says, a segment a transaction, and repair."""
    async with runtime.database.read() as session:
        rows = await definitions.serving(session)
    for row in rows:
        if runtime.stopping.is_set():
            return
        async with runtime.database.write() as session:
            await memberships.reconcile(session, row)


async def attend(runtime: Runtime) -> None:
    """See to segments that nobody builds, what a cancelled build has not said, and members of archived segments."""
    async with runtime.database.write() as session:
        await memberships.attend(session)
    for step in (backfill.tell_rest, memberships.empty_archived):
        left = True
        while left and not runtime.stopping.is_set():
            async with runtime.database.write() as session:
                left = await step(session)


JOBS = (Job("reconcile", timedelta(hours=24), reconcile), Job("attend", timedelta(minutes=1), attend))
