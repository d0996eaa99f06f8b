"""Time-driven work: pending points become active, old ones expire, the books are proved, reports added up."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.loyalty.expiry import service as expiry
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.points import service as points
from perennial.loyalty.reports import service as reports
from perennial.loyalty.reports.catalogue import REPORTS
from perennial.loyalty.rewards.redemptions import service as redemptions

Step = Callable[[WriteSession, datetime], Awaitable[int]]


async def _all(runtime: Runtime, step: Step) -> None:
    """Batch after batch, each a transaction, until nothing is due; after downtime it catches up."""
    now = utc_now()
    while not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            if not await step(session, now):
                return


async def activate(runtime: Runtime) -> None:
    """Let points be spent whose waiting time is over."""
    await _all(runtime, points.activate_due)


async def expire(runtime: Runtime) -> None:
    """Expire what nobody has spent in time."""
    await _all(runtime, points.expire_due)


async def announce_expiries(runtime: Runtime) -> None:
    """Say what is about to expire."""
    await _all(runtime, expiry.announce)


async def release_redemptions(runtime: Runtime) -> None:
    """Give back what was reserved and not confirmed in time."""
    await _all(runtime, redemptions.expire_due)


async def verify_ledger(runtime: Runtime) -> None:
    """Prove that the books balance. Raises LedgerBroken with the first bad row."""
    await verify(runtime.database)


async def make_reports(runtime: Runtime) -> None:
    """Add up every report, each in a transaction of its own."""
    for name in REPORTS:
        if runtime.stopping.is_set():
            return
        async with runtime.database.write() as session:
            await reports.make(session, name, utc_now())


JOBS = (
    Job("activate", timedelta(minutes=1), activate),
    Job("expire", timedelta(minutes=10), expire),
    Job("expiry-notices", timedelta(hours=1), announce_expiries),
    Job("release-redemptions", timedelta(seconds=30), release_redemptions),
    Job("verify-ledger", timedelta(days=1), verify_ledger),
    Job("reports", timedelta(hours=6), make_reports),
)
