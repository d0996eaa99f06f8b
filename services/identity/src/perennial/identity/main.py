"""The identity service."""

from typing import cast

from fastapi import FastAPI

from perennial.common.contracts.identity import (
    CustomerErased,
    CustomersMerged,
    CustomersSeparated,
    ErasureCompleted,
    IdentifiersAssigned,
    IdentifierShared,
    IntakeMeasured,
)
from perennial.common.run import build
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.identity.conflicts.api import router as conflicts
from perennial.identity.decider import keys_of
from perennial.identity.erasing import models as _erasing  # noqa: F401 (its table)
from perennial.identity.erasing.privacy import PRIVACY
from perennial.identity.evidence.api import router as evidence
from perennial.identity.identifiers.api import router as identifiers
from perennial.identity.intake import models as _intake  # noqa: F401 (its tables)
from perennial.identity.intake.jobs import MEASURE
from perennial.identity.jobs import WEEKS
from perennial.identity.merges.api import router as merges
from perennial.identity.models import metadata
from perennial.identity.policy.api import router as policy
from perennial.identity.replays import service as parking
from perennial.identity.replays.api import router as parked
from perennial.identity.sealing.jobs import RESEAL
from perennial.identity.settings import IdentitySettings
from perennial.identity.sharing.api import router as sharing
from perennial.identity.splits.api import router as splits
from perennial.identity.suggestions.api import router as suggestions
from perennial.identity.suggestions.jobs import SUGGEST
from perennial.identity.worker import REACTIONS, consume


async def check_keys(runtime: Runtime) -> None:
    """Refuse to start with a key that is none."""
    keys_of(cast("IdentitySettings", runtime.settings))


SERVICE = Service(
    name="identity",
    title="Identity",
    metadata=metadata,
    settings=IdentitySettings,
    routers=(identifiers, evidence, merges, splits, conflicts, suggestions, sharing, policy, parked),
    reactions=REACTIONS,
    emits=(
        IdentifiersAssigned,
        IdentifierShared,
        CustomersMerged,
        CustomersSeparated,
        CustomerErased,
        ErasureCompleted,
        IntakeMeasured,
    ),
    keeps_map=False,
    privacy=PRIVACY,
    jobs=(WEEKS, SUGGEST, RESEAL, MEASURE),
    tasks=(consume,),
    startup=check_keys,
    parked=parking.waiting,
    replay=parking.replay_or_raise,
)


def api() -> FastAPI:
    """A process that serves requests."""
    return build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """A process that decides."""
    return build(SERVICE, api=False, worker=True)
