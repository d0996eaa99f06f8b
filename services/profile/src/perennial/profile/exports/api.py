"""Routes of exports."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from perennial.common import operations
from perennial.common.auth import Principal, requires
from perennial.common.operations import OperationOut
from perennial.common.web import Idempotent, Write, documented
from perennial.profile.exports import service
from perennial.profile.exports.wanted import NewExport

router = APIRouter(tags=["customers"])

May = Annotated[Principal, Depends(requires("customers:export"))]


@router.post("/v1/exports", status_code=202, response_model=OperationOut, responses=documented(400, 403, 409))
async def export_customers(body: NewExport, request: Request, session: Write, who: May, once: Idempotent) -> Response:
    """Write a list of customers into a file of the operation, masked as a list is for you."""

    async def work() -> OperationOut:
        return await service.start(session, who, body)

    return await operations.accepted(request, once, session, work)
