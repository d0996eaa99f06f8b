"""Time-driven work on quality: each hour the day is measured anew."""

from datetime import timedelta
from uuid import UUID

from perennial.common.contracts.base import utc_now
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.profile.quality.findings import service as findings
from perennial.profile.quality.findings.records import NOBODY
from perennial.profile.quality.measuring import service

AT_ONCE = 500


async def index_values(runtime: Runtime) -> None:
    """Index what should be unique, for rules that are new."""
    more = True
    while more and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            more = await service.fill(session)


async def measure(runtime: Runtime) -> None:
    """See what is usual, rule by rule, then measure: transactions that are each whole by themselves."""
    await index_values(runtime)
    async with runtime.database.read() as session:
        rules = await service.on_outliers(session)
    for rule in rules:
        async with runtime.database.write() as session:
            await service.take_baseline(session, rule, utc_now())
    async with runtime.database.write() as session:
        await service.measure(session, utc_now())


async def reseal(runtime: Runtime) -> None:
    """Seal what findings hold by the first key of the ring, so that an old one can be taken away."""
    after: UUID | None = NOBODY
    while after is not None and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            after = await findings.reseal(session, after, AT_ONCE)


JOBS = (
    Job("quality-index", timedelta(minutes=1), index_values),
    Job("quality", timedelta(hours=1), measure),
    Job("quality-reseal", timedelta(hours=1), reseal),
)
