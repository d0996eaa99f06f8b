"""HTTP: content for whoever moderates it, and for who made it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from perennial.common import identity_map
from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.db import WriteSession
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_moment
from perennial.common.web.idempotency import Once
from perennial.loyalty.customers import owner_of
from perennial.loyalty.earning.content import queries, service, shown
from perennial.loyalty.earning.content.definition import State
from perennial.loyalty.earning.content.schemas import ContentOut, DecideIn, MyContentOut

router = APIRouter(prefix="/v1/loyalty/content", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/loyalty/content", tags=["me"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Moderator = Annotated[Principal, Depends(requires("loyalty:manage"))]
InState = Annotated[State | None, Query(description="Null: all; `waiting` is the moderators' queue.")]
OfKind = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Null: all.")]
OfCustomer = Annotated[UUID | None, Query(description="Null: of all.")]


@router.get("", responses=documented(400, 404))
async def list_content(
    who: Reader, session: Read, page: PageQuery, state: InState = None, kind: OfKind = None,
    customer_id: OfCustomer = None,
) -> Page[ContentOut]:  # fmt: skip
    """What the community made, the newest first."""
    owner = None if customer_id is None else await owner_of(session, customer_id)
    rows = await queries.page(session, owner, state, kind, last_moment(page), page.limit + 1)
    return paged(await shown.for_staff(session, who, rows), page, lambda item: [item.at.isoformat(), item.id])


@router.get("/{content_id}", responses=documented(404))
async def get_content(who: Reader, session: Read, content_id: UUID) -> ContentOut:
    """A review, a post, a photo."""
    return (await shown.for_staff(session, who, [await service.get(session, content_id)]))[0]


@router.post("/{content_id}/approve", response_model=ContentOut, responses=documented(400, 404, 409))
async def approve_content(
    who: Moderator, session: Write, content_id: UUID, body: DecideIn, once: Idempotent
) -> Response:
    """Let it stand: what the earn rules give for it is booked; what was taken back of it comes again."""
    return await _decide(who, session, content_id, "approved", body, once)


@router.post("/{content_id}/reject", response_model=ContentOut, responses=documented(400, 404, 409))
async def reject_content(
    who: Moderator, session: Write, content_id: UUID, body: DecideIn, once: Idempotent
) -> Response:
    """Refuse what waits; it brings nothing."""
    return await _decide(who, session, content_id, "rejected", body, once)


@router.post("/{content_id}/remove", response_model=ContentOut, responses=documented(400, 404, 409))
async def remove_content(
    who: Moderator, session: Write, content_id: UUID, body: DecideIn, once: Idempotent
) -> Response:
    """Take down what was approved; what it brought is taken back, by the currency's refund policy."""
    return await _decide(who, session, content_id, "removed", body, once)


async def _decide(
    who: Principal, session: WriteSession, content_id: UUID, state: State, body: DecideIn, once: Once
) -> Response:
    async def decide() -> ContentOut:
        await service.decide(session, who, content_id, state, body.note)
        return (await shown.for_staff(session, who, [await service.get(session, content_id)]))[0]

    return await once.run(session, decide, 200)


@me.get("", responses=documented(400))
async def list_my_content(
    via: CustomerVia, session: Read, page: PageQuery, state: InState = None
) -> Page[MyContentOut]:
    """What I have made, the newest first."""
    owner = await identity_map.customer_of(session, via) or via
    rows = await queries.page(session, owner, state, None, last_moment(page), page.limit + 1)
    return paged(await shown.for_customer(session, rows), page, lambda item: [item.at.isoformat(), item.id])
