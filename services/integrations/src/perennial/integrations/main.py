"""The integrations service."""

from fastapi import FastAPI

from perennial.common.contracts.integrations import ErasureCompleted, WebhookDisabled
from perennial.common.run import build
from perennial.common.service import Service
from perennial.integrations.api import router
from perennial.integrations.delivery import deliver
from perennial.integrations.jobs import JOBS
from perennial.integrations.models import metadata
from perennial.integrations.privacy import PRIVACY
from perennial.integrations.service import DELIVERIES
from perennial.integrations.settings import IntegrationsSettings
from perennial.integrations.worker import REACTIONS

SERVICE = Service(
    name="integrations",
    title="Perennial integrations",
    metadata=metadata,
    settings=IntegrationsSettings,
    routers=(router,),
    reactions=REACTIONS,
    emits=(WebhookDisabled, ErasureCompleted),
    keeps_map=False,
    privacy=PRIVACY,
    jobs=JOBS,
    channels=(DELIVERIES,),
    tasks=(deliver,),
)


def api() -> FastAPI:
    """The API alone."""
    return build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker alone, with its health routes."""
    return build(SERVICE, api=False, worker=True)
