"""HTTP: letting an order's points be spent before their time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import Idempotent, Write, documented
from perennial.loyalty.orders import service
from perennial.loyalty.orders.schemas import ReleasedOut, ReleaseIn

router = APIRouter(prefix="/v1/loyalty/releases", tags=["loyalty"])

Writer = Annotated[Principal, Depends(requires("loyalty:write"))]


@router.post("", status_code=201, response_model=ReleasedOut, responses=documented(400, 404, 409))
async def release_points(principal: Writer, session: Write, body: ReleaseIn, once: Idempotent) -> Response:
    """Let what an order earned be spent at once, whatever it waits for; what it earns later waits neither."""

    async def release() -> ReleasedOut:
        return ReleasedOut.model_validate(await service.release(session, principal, body.source, body.order_id))

    return await once.run(session, release)
