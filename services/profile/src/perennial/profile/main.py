"""The service `profile`: who the customers are and what they did."""

from typing import cast

from fastapi import FastAPI

from perennial.common import run
from perennial.common.contracts.profile import (
    ComputedTraitsChanged,
    ConsentsChanged,
    ErasureCompleted,
    ErasureRequested,
    QualityThresholdCrossed,
    TraitsChanged,
    TraitsDefined,
)
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.vault import kept_vault
from perennial.profile.computed import derive as computed
from perennial.profile.computed import models as _computed  # noqa: F401
from perennial.profile.computed import upgrading
from perennial.profile.computed.api import router as computed_traits
from perennial.profile.computed.jobs import JOBS as COMPUTED_JOBS
from perennial.profile.computed.jobs import build
from perennial.profile.computed.service import BUILDS
from perennial.profile.consents import models as _consents  # noqa: F401 (its tables)
from perennial.profile.consents.api import router as consents
from perennial.profile.customers.api import router as customers
from perennial.profile.customers.preview import PREVIEW
from perennial.profile.exports import service as exporting
from perennial.profile.exports.api import router as exports
from perennial.profile.imported.api import router as imported
from perennial.profile.jobs import JOBS
from perennial.profile.models import metadata
from perennial.profile.orders import models as _orders  # noqa: F401 (its tables)
from perennial.profile.orders.api import router as orders
from perennial.profile.privacy import models as _privacy  # noqa: F401
from perennial.profile.privacy.api import router as privacy
from perennial.profile.privacy.declared import PRIVACY
from perennial.profile.privacy.jobs import JOBS as PRIVACY_JOBS
from perennial.profile.quality import main as quality
from perennial.profile.quality import models as _quality  # noqa: F401
from perennial.profile.reveals.api import router as reveals
from perennial.profile.rows import clock
from perennial.profile.rows import models as _rows  # noqa: F401
from perennial.profile.rows.service import DERIVATION, follow_map
from perennial.profile.search import models as _search  # noqa: F401
from perennial.profile.search.api import router as search
from perennial.profile.sections import models as _sections  # noqa: F401
from perennial.profile.settings import ProfileSettings
from perennial.profile.stages import models as _stages  # noqa: F401
from perennial.profile.tags import main as tags
from perennial.profile.tags import models as _tags  # noqa: F401
from perennial.profile.tags.words.service import WORDS
from perennial.profile.timeline import models as _timeline  # noqa: F401
from perennial.profile.timeline.api import router as timeline
from perennial.profile.timeline.retention.api import router as retention
from perennial.profile.traits import models as _traits  # noqa: F401
from perennial.profile.traits.definitions.api import router as traits
from perennial.profile.traits.definitions.telling import announce
from perennial.profile.traits.edits.api import router as trait_edits
from perennial.profile.traits.sweeps.jobs import JOBS as TRAIT_JOBS
from perennial.profile.worker import REACTIONS


async def check_keys(runtime: Runtime) -> None:
    """Refuse to start with a ring that is none."""
    kept_vault(cast("ProfileSettings", runtime.settings))


SERVICE = Service(
    name="profile",
    title="Profile",
    metadata=metadata,
    settings=ProfileSettings,
    routers=(
        search,
        exports,
        imported,
        customers,
        timeline,
        retention,
        reveals,
        orders,
        computed_traits,
        consents,
        privacy,
        traits,
        trait_edits,
        *tags.ROUTERS,
        *quality.ROUTERS,
    ),
    reactions=REACTIONS,
    emits=(
        TraitsChanged,
        TraitsDefined,
        ComputedTraitsChanged,
        ConsentsChanged,
        ErasureRequested,
        ErasureCompleted,
        QualityThresholdCrossed,
        *tags.EMITS,
    ),
    map_changed=follow_map,
    derive=DERIVATION,
    preview=PREVIEW,
    privacy=PRIVACY,
    timers={clock.COMPUTED: computed.strike, upgrading.DISCOUNTS: upgrading.finish, **tags.TIMERS},
    jobs=(*JOBS, *COMPUTED_JOBS, *TRAIT_JOBS, *quality.JOBS, *PRIVACY_JOBS, *tags.JOBS),
    operations={exporting.KIND: exporting.export, **quality.OPERATIONS},
    startup=check_keys,
    channels=(BUILDS, WORDS),
    tasks=(build, announce, *tags.TASKS),
)


def api() -> FastAPI:
    """The HTTP side alone."""
    return run.build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker, with health and metrics."""
    return run.build(SERVICE, api=False, worker=True)
