"""Time-driven work on traits: sweeps, and adding up what was counted."""

from datetime import timedelta
from typing import cast

from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.common.vault import SealingSettings, kept_vault
from perennial.profile.traits.definitions import queries as definitions
from perennial.profile.traits.sweeps import queries, service

MOST = 20_000


async def reseal(runtime: Runtime) -> None:
    """Bring what is stored in line with definitions that have changed, and with the first key of the ring."""
    async with runtime.database.write() as session:
        await queries.follow_ring(session, kept_vault(cast("SealingSettings", runtime.settings)).current)
    more = True
    while more and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            more = await service.step(session)


async def add_up(runtime: Runtime) -> None:
    """Make one row of all that count the same."""
    added = MOST
    while added == MOST and not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            added = await definitions.add_up(session, MOST)


JOBS = (Job("reseal", timedelta(seconds=10), reseal), Job("tally", timedelta(minutes=5), add_up))
