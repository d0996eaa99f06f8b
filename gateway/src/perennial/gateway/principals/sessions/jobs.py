"""Time-driven work of staff sessions."""

from datetime import timedelta

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.gateway.principals.sessions import queries


async def sweep_sessions(runtime: Runtime) -> None:
    """Forget sessions that ended a month ago."""
    async with runtime.database.write() as session:
        await queries.sweep(session)


SWEEP_SESSIONS = Job("sweep-staff-sessions", timedelta(days=1), sweep_sessions)
