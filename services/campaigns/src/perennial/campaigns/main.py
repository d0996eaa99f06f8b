"""The campaigns service, put together."""

from fastapi import FastAPI

from perennial.campaigns import wakes
from perennial.campaigns.channels import sender
from perennial.campaigns.channels.api import router as channels
from perennial.campaigns.channels.sandbox import Sandbox
from perennial.campaigns.channels.service import ensure
from perennial.campaigns.channels.smtp import Smtp
from perennial.campaigns.enrolments.api import router as enrolments
from perennial.campaigns.enrolments.clock import step_due
from perennial.campaigns.enrolments.preview import PREVIEW
from perennial.campaigns.jobs import FORGET
from perennial.campaigns.journeys.api import router as journeys
from perennial.campaigns.journeys.telling import TELL
from perennial.campaigns.messages.api import router as messages
from perennial.campaigns.messages.quiet import use_zone
from perennial.campaigns.models import metadata
from perennial.campaigns.privacy import PRIVACY
from perennial.campaigns.settings import CampaignsSettings
from perennial.campaigns.worker import DERIVATION, REACTIONS
from perennial.common.contracts.campaigns import (
    EnrolmentEnded,
    EnrolmentStarted,
    ErasureCompleted,
    MessageSent,
    MessageSuppressed,
    RulesChanged,
)
from perennial.common.derive import mark_changes
from perennial.common.run import build
from perennial.common.runtime import Runtime
from perennial.common.service import Service


async def start(runtime: Runtime) -> None:
    """The channels exist; quiet hours of customers whose zone nobody told are the deployment's."""
    use_zone(runtime.settings.zone)
    async with runtime.database.write() as session:
        await ensure(session)


async def send_sandbox(runtime: Runtime) -> None:
    """The sandbox's sender."""
    await sender.loop(runtime, Sandbox())


async def send_email(runtime: Runtime) -> None:
    """The sender of e-mail."""
    url = runtime.settings.smtp_url if isinstance(runtime.settings, CampaignsSettings) else None
    await sender.loop(runtime, Smtp(url.get_secret_value() if url else None))


SERVICE = Service(
    name="campaigns",
    title="Perennial campaigns",
    metadata=metadata,
    settings=CampaignsSettings,
    routers=(journeys, enrolments, messages, channels),
    reactions=REACTIONS,
    emits=(EnrolmentStarted, EnrolmentEnded, MessageSent, MessageSuppressed, RulesChanged, ErasureCompleted),
    map_changed=mark_changes,
    derive=DERIVATION,
    preview=PREVIEW,
    privacy=PRIVACY,
    timers={wakes.KIND: step_due},
    jobs=(FORGET, TELL),
    channels=(sender.channel_name("sandbox"), sender.channel_name("email")),
    tasks=(send_sandbox, send_email),
    startup=start,
)


def api() -> FastAPI:
    """The HTTP side alone."""
    return build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker alone, with health and metrics."""
    return build(SERVICE, api=False, worker=True)
