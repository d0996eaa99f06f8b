"""Who may come in, held in memory: no request waits for the database to know its key."""

import asyncio
from datetime import timedelta

import structlog

from perennial.common import notify
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.gateway.announcing import CHANNEL
from perennial.gateway.plans import loading as plans
from perennial.gateway.plans.plan import Plan
from perennial.gateway.principals.memory import Memory
from perennial.gateway.sources import queries as sources
from perennial.gateway.sources.known import KnownSource, known_source
from perennial.gateway.sources.origins import Origins

log = structlog.get_logger()

REFRESH_SECONDS = 30.0


class Access:
    """Every live key of the deployment; kept through an outage of the database."""

    def __init__(self, runtime: Runtime, idle: timedelta) -> None:
        """`idle` is how long a staff session may be unused."""
        self._runtime = runtime
        self._refreshing = asyncio.Lock()
        self.sources: dict[str, KnownSource] = {}
        self.plans: dict[str, Plan] = {}
        self.origins = Origins(())
        self.principals = Memory(runtime.database, idle, self._refreshing)

    async def refresh(self) -> None:
        """Read all keys again. What is committed before the call is seen after it."""
        async with self._refreshing, self._runtime.database.read() as session:
            found = await sources.live_keys(session)
            self.plans = await plans.in_force(session, found.values(), self.plans)
            self.sources = {key: known_source(source) for key, source in found.items()}
            self.origins = Origins(origin for source in found.values() for origin in source.origins)
            await self.principals.read(session)

    def source_ids(self) -> set[str]:
        """The ids of the sources that have a key."""
        return {source.id for source in self.sources.values()}

    async def keep_fresh(self) -> None:
        """Refresh on every notification and every half minute, for as long as the process lives."""
        while not self._runtime.stopping.is_set():
            await notify.wait(self._runtime, CHANNEL, REFRESH_SECONDS)
            try:
                await self.refresh()
            except Exception as error:
                if is_infrastructure(error):
                    log.warning("access.stale", error=repr(error))
                else:
                    log.exception("access.stale")
                await self._runtime.pause(1)
