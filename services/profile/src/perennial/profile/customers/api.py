"""Routes of customers."""

from uuid import UUID

from fastapi import APIRouter, Request

from perennial.common.auth import CustomerVia
from perennial.common.settings import CommonSettings
from perennial.common.web import Read, documented
from perennial.profile.customers import queries, view
from perennial.profile.customers.schemas import Customer, CustomersSummary, Me
from perennial.profile.traits.readers import MayRead

router = APIRouter(tags=["customers"])


@router.get("/v1/customers/summary")
async def summarise_customers(session: Read, _: MayRead) -> CustomersSummary:
    """How many customers and events there are."""
    row = await queries.totals(session)
    return CustomersSummary(customers=row.customers, events=row.events)


@router.get("/v1/customers/{id}", responses=documented(404))
async def get_customer(id: UUID, request: Request, session: Read, who: MayRead) -> Customer:
    """All that is known of a customer; an old id answers for the customer it belongs to today."""
    return (await view.show(session, id, settings_of(request).currency)).seen_by(who)


@router.get("/v1/me", responses=documented(404))
async def get_me(via: CustomerVia, request: Request, session: Read) -> Me:
    """What the customer in the token may see of their own."""
    return await view.show_own(session, via, settings_of(request).currency)


def settings_of(request: Request) -> CommonSettings:
    """The settings of this process."""
    settings: CommonSettings = request.app.state.settings
    return settings
