"""The service `profile`: who the customers are and what they did."""

from fastapi import FastAPI

from perennial.common import run
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.service import Service
from perennial.profile.customers.api import router as customers
from perennial.profile.customers.preview import PREVIEW
from perennial.profile.jobs import JOBS
from perennial.profile.models import metadata
from perennial.profile.orders.api import router as orders
from perennial.profile.reveals.api import router as reveals
from perennial.profile.timeline.api import router as timeline
from perennial.profile.worker import REACTIONS

SERVICE = Service(
    name="profile",
    title="Profile",
    metadata=metadata,
    routers=(customers, timeline, reveals, orders),
    reactions=REACTIONS,
    emits=(TraitsChanged,),
    preview=PREVIEW,
    jobs=JOBS,
)


def api() -> FastAPI:
    """The HTTP side alone."""
    return run.build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker, with health and metrics."""
    return run.build(SERVICE, api=False, worker=True)
