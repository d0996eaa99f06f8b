"""The tickets service."""

from fastapi import FastAPI

from perennial.common.contracts import tickets as contract
from perennial.common.run import build
from perennial.common.service import Service
from perennial.tickets.agents.api import router as agents
from perennial.tickets.calendars.api import router as calendars
from perennial.tickets.dispatch.api import router as dispatch
from perennial.tickets.jobs import JOBS
from perennial.tickets.mine.api import router as mine
from perennial.tickets.models import metadata
from perennial.tickets.privacy import PRIVACY
from perennial.tickets.requests.api import router as requests
from perennial.tickets.requests.preview import PREVIEW
from perennial.tickets.requests.service import hold_to_promise
from perennial.tickets.sla.service import TIMER
from perennial.tickets.types.api import router as types
from perennial.tickets.worker import REACTIONS

SERVICE = Service(
    name="tickets",
    title="Perennial tickets",
    metadata=metadata,
    routers=(requests, mine, types, dispatch, agents, calendars),
    reactions=REACTIONS,
    emits=(
        contract.TicketOpened,
        contract.TicketAssigned,
        contract.TicketMoved,
        contract.TicketClosed,
        contract.TicketBreached,
        contract.TicketRated,
        contract.RulesChanged,
        contract.ErasureCompleted,
    ),
    preview=PREVIEW,
    privacy=PRIVACY,
    timers={TIMER: hold_to_promise},
    jobs=JOBS,
)


def api() -> FastAPI:
    """The API alone."""
    return build(SERVICE, api=True, worker=False)


def worker() -> FastAPI:
    """The worker alone, with its health routes."""
    return build(SERVICE, api=False, worker=True)
