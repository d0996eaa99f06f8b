"""HTTP: checking in, for the customer in person."""

from fastapi import APIRouter, Response

from perennial.common.auth import CustomerVia
from perennial.common.web import Read, Write, documented
from perennial.loyalty.earning.checkin import service
from perennial.loyalty.earning.checkin.schemas import CheckInOut

me = APIRouter(prefix="/v1/me/check-in", tags=["me"])


@me.get("", responses=documented(404))
async def get_my_check_in(via: CustomerVia, session: Read) -> CheckInOut:
    """Whether I have checked in today, and my streak."""
    return CheckInOut.model_validate(await service.standing(session, via))


@me.post(
    "", status_code=201, responses={**documented(404), 200: {"model": CheckInOut, "description": "Done before, today."}}
)
async def check_in(via: CustomerVia, session: Write, response: Response) -> CheckInOut:
    """Check in: 201 for the first time of a day, 200 with the same standing for any other; a repeat needs no key."""
    standing, new = await service.check_in(session, via)
    if not new:
        response.status_code = 200
    return CheckInOut.model_validate(standing)
