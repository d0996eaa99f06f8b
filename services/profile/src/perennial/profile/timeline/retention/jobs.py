"""Drop the months that are kept no longer."""

import structlog
from sqlalchemy.exc import DBAPIError

from perennial.common.runtime import Runtime
from perennial.profile.timeline.retention import queries

log = structlog.get_logger()

ATTEMPTS, PAUSE_SECONDS = 20, 3.0
LOCK_NOT_AVAILABLE = "55P03"


async def drop_months(runtime: Runtime) -> None:
    """Each partition in a transaction of its own; one that is in use is tried again, and tomorrow."""
    attempts = ATTEMPTS
    while attempts and not runtime.stopping.is_set():
        try:
            async with runtime.database.write() as session:
                name = await queries.drop(session)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            attempts -= 1
            await runtime.pause(PAUSE_SECONDS)
            continue
        if name is None:
            return
        log.info("timeline.dropped", partition=name)
    log.warning("timeline.busy")
