"""Runs the decision of a pull: begun again when rivals were first, by halves when an event is at fault."""

import traceback
from collections.abc import Sequence
from typing import cast

import structlog

from perennial.common import faults
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.failures import is_infrastructure
from perennial.common.messaging.parked import Parked
from perennial.common.runtime import Runtime
from perennial.identity.decisions import queries, service
from perennial.identity.decisions.joining import RootsMoved
from perennial.identity.decisions.service import Arrival, Keys
from perennial.identity.decisions.sightings import Lately, Sightings
from perennial.identity.policy import service as policies
from perennial.identity.settings import IdentitySettings, key_of, vault_of
from perennial.identity.traces import Reader

log = structlog.get_logger()


def keys_of(settings: IdentitySettings) -> Keys:
    """The keys in the settings. Raises ValueError naming a variable that is not a key."""
    reader = Reader(key_of("identifier_key", settings.identifier_key), settings.region)
    return Keys(reader, vault_of(settings))


class Decider:
    """Decides events; what it returns is committed and has yet to be published."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._keys = keys_of(cast("IdentitySettings", runtime.settings))
        self._weeks: set[int] = set()
        self._lately = Lately()

    async def decide(self, arrivals: Sequence[Arrival]) -> list[ResolvedEvent]:
        """Decide together; when an event is at fault, by halves, until it stands alone and is parked."""
        try:
            return await self.decide_together(arrivals)
        except Exception as error:
            if is_infrastructure(error):
                raise
            log.warning("batch.isolating", events=len(arrivals), error=repr(error))
            if len(arrivals) == 1:
                await self._park(arrivals[0], error)
                return []
        half = len(arrivals) // 2
        return await self.decide(arrivals[:half]) + await self.decide(arrivals[half:])

    async def decide_together(self, arrivals: Sequence[Arrival]) -> list[ResolvedEvent]:
        """One transaction, begun again as long as somebody else was first."""
        while True:
            now = utc_now()
            await self._ensure_week(service.week_of(now))
            sightings = Sightings(self._lately)
            try:
                async with self._runtime.database.write() as session:
                    self._keys = self._keys.under(await policies.in_force(session, self._keys.policy))
                    resolved = await service.decide(session, arrivals, self._keys, now, sightings)
                    faults.point("identity.decided")
            except RootsMoved:
                log.info("batch.restarted", events=len(arrivals))
            else:
                faults.point("identity.committed")
                sightings.committed()
                return resolved

    async def _ensure_week(self, week: int) -> None:
        if week not in self._weeks:
            async with self._runtime.database.write() as session:
                await queries.ensure_week(session, week)
            self._weeks.add(week)

    async def park(self, failed: Sequence[Parked]) -> None:
        """Put events aside that cannot even be read."""
        async with self._runtime.database.write() as session:
            await service.park(session, failed, self._keys.vault)

    async def _park(self, arrival: Arrival, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        await self.park([Parked(arrival.origin(), arrival.id, repr(error), trace)])
