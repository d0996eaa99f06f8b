"""Time-driven work of violations."""

from datetime import timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.gateway.violations import queries


async def sweep_violations(runtime: Runtime) -> None:
    """Forget rejected events after their time, in small transactions."""
    deleted = 1
    while deleted and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            deleted = await queries.sweep(session)


SWEEP_VIOLATIONS = Job("sweep-violations", timedelta(hours=1), sweep_violations)
