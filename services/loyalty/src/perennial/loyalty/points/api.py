"""HTTP: spending and adjusting points."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import CustomerVia, Principal, requires
from perennial.common.db import WriteSession
from perennial.common.ids import digest_uuid
from perennial.common.web import Idempotent, Write, documented
from perennial.common.web.idempotency import Once, is_replayed
from perennial.loyalty.accounts import service as accounts
from perennial.loyalty.customers import owner_of
from perennial.loyalty.points import service
from perennial.loyalty.points.plain import posting_of
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.points.schemas import AdjustIn, PostedOut, SpendIn
from perennial.loyalty.programme import service as programme

router = APIRouter(prefix="/v1/loyalty/accounts/{customer_id}", tags=["loyalty"])
me = APIRouter(prefix="/v1/me/loyalty", tags=["me"])

Writer = Annotated[Principal, Depends(requires("loyalty:write"))]
Adjuster = Annotated[Principal, Depends(requires("loyalty:adjust"))]


@router.post("/spend", status_code=201, response_model=PostedOut, responses=documented(400, 404, 409))
async def spend_points(_: Writer, session: Write, customer_id: UUID, body: SpendIn, once: Idempotent) -> Response:
    """Take points from a customer, who must have them."""
    answer = await once.run(session, lambda: _spend(session, customer_id, body, once, anybody=True))
    if is_replayed(answer):
        await owner_of(session, customer_id)  # who is forgotten is not spoken of
    return answer


@router.post("/adjust", status_code=201, response_model=PostedOut, responses=documented(400, 404, 409))
async def adjust_points(
    principal: Adjuster, session: Write, customer_id: UUID, body: AdjustIn, once: Idempotent
) -> Response:
    """Correct a customer's points by hand; who did it and why is kept."""
    owner = await owner_of(session, customer_id)

    async def adjust() -> PostedOut:
        posting = Posting(
            digest_uuid("adjust", once.id.hex()), "adjust", owner, datetime.now(UTC), body.reason, body.points,
            reference=body.reference, currency=await programme.code_of(session, body.currency),
        )  # fmt: skip
        await service.adjust(session, principal, posting)
        balance = await accounts.balance(session, owner, posting.currency)
        return _posted(posting, posting.currency, owner, body.points, balance)

    return await once.run(session, adjust)


@me.post("/spend", status_code=201, response_model=PostedOut, responses=documented(400, 409))
async def spend_my_points(via: CustomerVia, session: Write, body: SpendIn, once: Idempotent) -> Response:
    """Spend one's own points."""
    return await once.run(session, lambda: _spend(session, via, body, once))


async def _spend(session: WriteSession, who: UUID, body: SpendIn, once: Once, *, anybody: bool = False) -> PostedOut:
    posting = posting_of(who, body, once)
    spent = await service.spend_in(session, body.currency, posting, anybody=anybody)
    return _posted(posting, spent.currency, spent.customer, body.points, spent.balance)


def _posted(posting: Posting, currency: str, customer: UUID, points: int, balance: int) -> PostedOut:
    return PostedOut(
        posting_id=posting.id, customer_id=customer, points=points, currency=currency, balance=balance,
        reason=posting.reason, reference=posting.reference,
    )  # fmt: skip
