"""Says every few minutes what became of events."""

from datetime import timedelta

from perennial.common.contracts.base import IntakeCount, IntakeGauge, utc_now
from perennial.common.contracts.identity import IntakeMeasured
from perennial.common.outbox import emit
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.identity.intake import queries

KEPT = timedelta(days=14)
MOST = 50_000
SHARED = "shared"


async def measure(runtime: Runtime) -> None:
    """Add up what batches have counted, and say the totals that changed in the same transaction."""
    async with runtime.database.write() as session:
        changed = await queries.add_up(session, MOST)
        shared = await queries.shared(session)
        if changed or shared:
            counts = [
                IntakeCount(source=row.source, hour=row.hour, outcome=row.outcome, count=row.number) for row in changed
            ]
            waiting = [IntakeGauge(source=row.source, name=SHARED, value=row.value) for row in shared]
            await emit(session, IntakeMeasured(counts=counts, waiting=waiting))
        await queries.forget(session, utc_now(), KEPT)


MEASURE = Job("intake", timedelta(minutes=10), measure)
