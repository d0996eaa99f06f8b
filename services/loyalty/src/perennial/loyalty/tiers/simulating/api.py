"""HTTP: try a programme."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common import operations
from perennial.common.auth import Principal, requires
from perennial.common.operations import OperationOut
from perennial.common.web import Idempotent, Write, documented
from perennial.loyalty.programme.schemas import ProgrammeIn
from perennial.loyalty.tiers.simulating import service

router = APIRouter(prefix="/v1/loyalty/programme/simulate", tags=["loyalty"])

Manager = Annotated[Principal, Depends(requires("loyalty:manage"))]


@router.post("", status_code=202, response_model=OperationOut, responses=documented(400, 409))
async def simulate_programme(
    body: ProgrammeIn, request: Request, session: Write, who: Manager, once: Idempotent,
    sample: Annotated[int, Query(ge=0, le=100, description="How many of those who move are named.")] = 20,
) -> Response:  # fmt: skip
    """Try a programme on every member before it is published: who would move where, now and if nothing more is earned.

    The result holds the matrix of today's tiers and those to come, and what benefits would be granted and revoked; the
    file `moves.csv` names everybody who would move. Nothing of the members is changed.
    """

    async def work() -> OperationOut:
        return await service.start(session, who, body, sample)

    return await operations.accepted(request, once, session, work)
