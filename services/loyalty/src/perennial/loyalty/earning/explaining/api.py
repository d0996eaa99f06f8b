"""HTTP: why these points, why not, and what a cart would earn."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.common import identity_map
from perennial.common.auth import Authenticated, CustomerVia, Principal, requires
from perennial.common.problems import Unprocessable
from perennial.common.web import Read, documented
from perennial.loyalty.customers import owner_of
from perennial.loyalty.earning.explaining import previewing, service, shown
from perennial.loyalty.earning.explaining.schemas import CauseOut, ExplainedOut, PreviewIn, PreviewMine, PreviewOut

router = APIRouter(prefix="/v1/loyalty", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/loyalty", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Words = Annotated[Literal["en", "zh"], Query(alias="language", description="Of the phrases.")]
Word = Annotated[str, Query(min_length=1, max_length=255)]


@router.get("/accounts/{customer_id}/ledger/{posting_id}/explain", responses=documented(404))
async def explain_posting(
    who: Reader, session: Read, customer_id: UUID, posting_id: UUID, language: Words = "en"
) -> ExplainedOut:
    """Why a line of a customer's ledger is as it is: each rule that was asked, its answer, factors and caps."""
    owner = await owner_of(session, customer_id)
    return shown.explained(who, await service.of_posting(session, owner, posting_id, language))


@me.get("/ledger/{posting_id}/explain", responses=documented(404))
async def explain_my_posting(
    who: Authenticated, via: CustomerVia, session: Read, posting_id: UUID, language: Words = "en"
) -> ExplainedOut:
    """Why a line of my ledger is as it is."""
    owner = await identity_map.customer_of(session, via) or via
    return shown.explained(who, await service.of_posting(session, owner, posting_id, language))


@router.get("/explain", responses=documented(404))
async def explain_event(
    who: Reader, session: Read, source: Word, order_id: Word | None = None, message_id: Word | None = None,
    language: Words = "en",
) -> CauseOut:  # fmt: skip
    """Why an order, or another event, earned what it did, or nothing."""
    if (order_id is None) == (message_id is None):
        raise Unprocessable(
            "order_id: one of order_id and message_id is needed", code="which_event", pointer="query/order_id"
        )
    if order_id is not None:
        return shown.cause(who, await service.of_order(session, source, order_id, language))
    return shown.cause(who, await service.of_event(session, source, message_id or "", language))


@router.post("/preview", responses=documented(404))
async def preview_event(who: Reader, session: Read, body: PreviewIn, language: Words = "en") -> PreviewOut:
    """What a cart would earn a customer, within what caps leave; nothing is written."""
    owner = None if body.customer_id is None else await owner_of(session, body.customer_id)
    found = await previewing.preview(session, owner, body.event, body.source, body.properties, body.at, language)
    return shown.preview(who, found)


@me.post("/preview")
async def preview_my_event(
    who: Authenticated, via: CustomerVia, session: Read, body: PreviewMine, language: Words = "en"
) -> PreviewOut:
    """What my cart would earn me."""
    owner = await identity_map.customer_of(session, via) or via
    found = await previewing.preview(session, owner, body.event, body.source, body.properties, None, language)
    return shown.preview(who, found)
