"""The service `profile`: who the customers are and what they did."""

from fastapi import FastAPI

from perennial.common import run
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.service import Service
from perennial.profile.customers.api import router as customers
from perennial.profile.customers.preview import PREVIEW
from perennial.profile.jobs import JOBS
from perennial.profile.models import metadata
from perennial.profile.orders import models as _orders  # noqa: F401 (its tables)
from perennial.profile.orders.api import router as orders
from perennial.profile.reveals.api import router as reveals
from perennial.profile.rows import models as _rows  # noqa: F401
from perennial.profile.rows.service import DERIVATION, follow_map
from perennial.profile.sections import models as _sections  # noqa: F401
from perennial.profile.timeline import models as _timeline  # noqa: F401
from perennial.profile.timeline.api import router as timeline
from perennial.profile.traits import models as _traits  # noqa: F401
from perennial.profile.worker import REACTIONS

SERVICE = Service(
    name="profile",
    title="Profile",
    metadata=metadata,
    routers=(customers, timeline, reveals, orders),
    reactions=REACTIONS,
    emits=(TraitsChanged,),
    map_changed=follow_map,
    derive=DERIVATION,
    preview=PREVIEW,
    jobs=JOBS,
)


def api() -> FastAPI:
    """The HTTP side alone."""
    return run.build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker, with health and metrics."""
    return run.build(SERVICE, api=False, worker=True)
