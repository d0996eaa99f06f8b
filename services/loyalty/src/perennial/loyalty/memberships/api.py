"""HTTP: memberships, for staff and for the customer in person."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.common import identity_map, prose
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.web import Page, PageQuery, Read, cursors, documented, paged
from perennial.loyalty.customers import owner_of
from perennial.loyalty.fields import Code
from perennial.loyalty.memberships import queries, shown
from perennial.loyalty.memberships.schemas import (
    CustomerMembershipsOut,
    MyMembershipOut,
    StandingOut,
    Status,
    TellingOut,
)

router = APIRouter(prefix="/v1/loyalty", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/membership", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]


@router.get("/memberships", responses=documented(400))
async def list_memberships(
    _: Reader, session: Read, page: PageQuery, plan: Annotated[Code | None, Query()] = None,
    status: Annotated[Status | None, Query(description="Null: all.")] = None,
) -> Page[StandingOut]:  # fmt: skip
    """Who is, or was, a member of which plan."""
    after = cursors.last(page, cursors.uuid, cursors.text)
    rows = await queries.page(session, after, page.limit + 1, plan=plan, state=status)
    items = [_standing(dict(row._mapping)) for row in rows]  # noqa: SLF001
    return paged(items, page, lambda item: [item.customer_id, item.plan])


@router.get("/accounts/{customer_id}/memberships", responses=documented(404))
async def get_memberships(who: Reader, session: Read, customer_id: UUID) -> CustomerMembershipsOut:
    """A customer's memberships, and the last 200 events that were heard of them, the newest first."""
    owner = await owner_of(session, customer_id)
    found = await shown.of_customer(session, owner)
    return CustomerMembershipsOut(
        customer_id=owner, memberships=found.memberships, savings=found.savings,
        heard=[_masked(who, item) for item in found.heard],
    )  # fmt: skip


@me.get("")
async def get_my_membership(via: CustomerVia, session: Read) -> MyMembershipOut:
    """My memberships, what they saved me this year, and the plans that there are."""
    found = await shown.of_customer(session, await identity_map.customer_of(session, via) or via)
    return MyMembershipOut(memberships=found.memberships, savings=found.savings, plans=found.plans)


def _masked(who: Principal, item: TellingOut) -> TellingOut:
    return item.model_copy(update={"payment": prose.reference(who, item.payment)})


def _standing(row: dict[str, Any]) -> StandingOut:
    return StandingOut.model_validate({**row, "status": row["state"], "currency": row["money"]})
