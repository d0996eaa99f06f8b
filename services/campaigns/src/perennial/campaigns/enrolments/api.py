"""Who is on a journey, who was refused, and one walk explained."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from perennial.campaigns.customers import vias_today
from perennial.campaigns.enrolments import listing
from perennial.campaigns.enrolments.listing import Wanted, check_journey
from perennial.campaigns.enrolments.schemas import EnrolmentStory, EnrolmentView, RefusedView, State
from perennial.campaigns.messages import queries as messages
from perennial.common import masks
from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.common.web.cursors import last_id

router = APIRouter(prefix="/v1", tags=["enrolments"])

Reading = Annotated[Principal, Depends(requires("campaigns:read"))]


@router.get("/journeys/{journey_id}/enrolments", responses=documented(400, 404))
async def list_enrolments(
    journey_id: UUID,
    session: Read,
    page: PageQuery,
    _: Reading,
    customer_id: UUID | None = None,
    state: State | None = None,
) -> Page[EnrolmentView]:
    """Who is or was on the journey, newest first."""
    await check_journey(session, journey_id)
    wanted = Wanted(journey_id, await vias_today(session, customer_id), state)
    rows = await listing.listed(session, wanted, last_id(page), page.limit + 1)
    return paged([EnrolmentView.model_validate(row) for row in rows], page, lambda item: [item.id])


@router.get("/journeys/{journey_id}/refusals", responses=documented(400, 404))
async def list_refusals(
    journey_id: UUID, session: Read, page: PageQuery, _: Reading, customer_id: UUID | None = None
) -> Page[RefusedView]:
    """Who fulfilled the trigger in the last 30 days and was not enrolled, and why; newest first."""
    await check_journey(session, journey_id)
    wanted = Wanted(journey_id, await vias_today(session, customer_id))
    rows = await listing.refusals(session, wanted, last_id(page), page.limit + 1)
    shown = paged(rows, page, lambda row: [row["id"]])
    return Page(items=[RefusedView.model_validate(row) for row in shown.items], next_cursor=shown.next_cursor)


@router.get("/enrolments/{enrolment_id}", responses=documented(404))
async def get_enrolment(enrolment_id: UUID, session: Read, who: Reading) -> EnrolmentStory:
    """One walk: what began it, its steps and messages, and what ended it."""
    found = await listing.one(session, enrolment_id)
    found["cause"] = _cause(who, found["cause"])
    written = await messages.of_enrolment(session, enrolment_id)
    return EnrolmentStory.model_validate(found | {"messages": written}, from_attributes=True)


def _cause(who: Principal, cause: Mapping[str, Any]) -> dict[str, Any]:
    """What began a walk; of an event, its properties as they may be seen."""
    said = cause.get("properties")
    return {**cause, "properties": masks.properties(who, said)} if isinstance(said, Mapping) else dict(cause)
