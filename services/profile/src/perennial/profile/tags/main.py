"""What the service's main.py takes over of tags and stages."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from perennial.common.contracts.profile import RulesChanged, StageChanged, StagesChanged, TagsChanged
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime
from perennial.common.service import Job
from perennial.common.timers import TimerHandler
from perennial.profile.rows import clock
from perennial.profile.stages import derivation as stages
from perennial.profile.stages import service as lifecycle
from perennial.profile.stages import telling as ladders
from perennial.profile.stages.api import router as lifecycle_routes
from perennial.profile.tags import counting, recompute, shares
from perennial.profile.tags.assignments.api import router as assignments
from perennial.profile.tags.definitions import presets, telling
from perennial.profile.tags.definitions.api import router as definitions
from perennial.profile.tags.derivation import service as derivation
from perennial.profile.tags.words import service as words
from perennial.profile.tags.words.api import router as topics
from perennial.profile.tags.words.jobs import listen

log = structlog.get_logger()

TIMERS: Mapping[str, TimerHandler] = {
    clock.TAGS: derivation.flip,
    clock.STAGES: stages.flip,
    recompute.RECOMPUTE: recompute.step,
    words.REHEAR: words.rehear,
    shares.SHARES: shares.fire,
}


async def seed(runtime: Runtime) -> None:
    """Bring catalogue, topics and ladders into the database, where the shop has not made them its own."""
    async with runtime.database.write() as session:
        await presets.seed(session)
        await words.seed(session)
        await lifecycle.seed(session)


async def begin(runtime: Runtime) -> None:
    """Seed once, as soon as the database is there; it writes nothing where nothing is new."""
    while not runtime.stopping.is_set():
        try:
            await seed(runtime)
        except Exception as error:
            if not is_infrastructure(error):
                raise
            log.warning("presets.waiting", error=repr(error))
            await runtime.pause(2)
        else:
            return


async def tell_rules(runtime: Runtime) -> None:
    """Say which segments tags and ladders ask for: also those that were there before anybody listened."""
    async with runtime.database.write() as session:
        await telling.tell_all(session)
        await ladders.tell(session)


JOBS = (Job("shares", timedelta(hours=6), shares.job), Job("tell", timedelta(days=1), tell_rules), counting.COUNT)
TASKS = (begin, listen)
ROUTERS = (definitions, topics, assignments, lifecycle_routes)
EMITS = (TagsChanged, StagesChanged, StageChanged, RulesChanged)
