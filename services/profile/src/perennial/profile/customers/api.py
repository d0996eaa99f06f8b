"""Routes of customers."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from perennial.common.auth import CustomerVia
from perennial.common.settings import CommonSettings
from perennial.common.web import Page, PageQuery, Read, Unprocessable, documented, paged
from perennial.profile.customers import queries, view
from perennial.profile.customers.schemas import Customer, CustomerItem, CustomersSummary, Me
from perennial.profile.params import MayRead, Word, bad_cursor

router = APIRouter(tags=["customers"])

FIRST = UUID(int=0)


@router.get("/v1/customers", responses=documented(400))
async def list_customers(
    request: Request,
    session: Read,
    page: PageQuery,
    who: MayRead,
    identifier: Annotated[Word | None, Query(max_length=400, description="`kind:value`, such as email:a@b.cd.")] = None,
    q: Annotated[
        Word | None,
        Query(
            min_length=1,
            max_length=200,
            description="Words in a trait that you see in clear; under three characters its beginning.",
        ),
    ] = None,
) -> Page[CustomerItem]:
    """Customers in the order of their ids: all, those who answer to a search, or the one who has an identifier."""
    if identifier is not None and q is not None:
        raise Unprocessable("q: cannot be combined with identifier", code="invalid_request", pointer="query/q")
    after, limit = _after(page.after), page.limit + 1
    if identifier is not None:
        items = await view.by_identifier(session, identifier, settings_of(request))
    elif q is not None:
        items = await view.search(session, who, q, after, limit)
    else:
        items = await view.listing(session, after, limit)
    return paged([item.seen_by(who) for item in items], page, lambda item: [item.id])


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
    customer = await view.show(session, via, settings_of(request).currency)
    return Me(**{name: getattr(customer, name) for name in Me.model_fields})


def settings_of(request: Request) -> CommonSettings:
    """The settings of this process."""
    settings: CommonSettings = request.app.state.settings
    return settings


def _after(cursor: list[object]) -> UUID:
    if not cursor:
        return FIRST
    try:
        [last] = cursor
        return UUID(str(last))
    except ValueError as error:
        raise bad_cursor() from error
