"""Routes of RFM."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request

from perennial.common import identity_map
from perennial.common.auth import Principal, requires
from perennial.common.problems import BadRequest, NotFound
from perennial.common.settings import CommonSettings
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.segments.rfm import queries
from perennial.segments.rfm.schemas import GroupOut, RfmOut, RfmSummary

router = APIRouter(prefix="/v1/rfm", tags=["rfm"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]


def _settings(request: Request) -> CommonSettings:
    settings: CommonSettings = request.app.state.settings
    return settings


Settings = Annotated[CommonSettings, Depends(_settings)]


@router.get("/summary")
async def summarise_rfm(session: Read, settings: Settings, who: Reader) -> RfmSummary:
    """The groups and what they are worth, as of the last computation."""
    run = await queries.last_run(session)
    groups = [
        GroupOut(group=row.group, customers=row.customers, monetary=f"{row.monetary:.2f}")
        for row in await queries.groups(session)
    ]
    as_of, customers, orders = run or (None, 0, 0)
    return RfmSummary(customers=customers, orders=orders, currency=settings.currency, groups=groups, as_of=as_of)


@router.get("/customers", responses=documented(400))
async def list_rfm(
    page: PageQuery,
    session: Read,
    settings: Settings,
    who: Reader,
    group: Annotated[str | None, Query(max_length=50)] = None,
) -> Page[RfmOut]:
    """Every customer with an order, by customer id."""
    try:
        after = UUID(str(page.after[0])) if page.after else None
    except ValueError as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error
    rows = await queries.page(session, group, after, page.limit + 1, settings.timezone)
    return paged([RfmOut.of(row, settings.currency) for row in rows], page, lambda item: [str(item.customer_id)])


@router.get("/customers/{customer_id}", responses=documented(404))
async def get_rfm(customer_id: UUID, session: Read, settings: Settings, who: Reader) -> RfmOut:
    """One customer's standing; old ids answer too."""
    customer = await identity_map.customer_of(session, customer_id)
    row = await queries.one(session, customer, settings.timezone) if customer else None
    if row is None:
        raise NotFound("customer: there is none with this id and an order", pointer="path/customer_id")
    return RfmOut.of(row, settings.currency)
