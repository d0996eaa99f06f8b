"""What a file may bring besides traits, asked before it is imported."""

from typing import Annotated

from fastapi import APIRouter, Depends

from perennial.common.auth import Principal, requires
from perennial.common.web import Read, documented
from perennial.profile.imported import service
from perennial.profile.imported.schemas import Takes, Targets, Unfit

router = APIRouter(tags=["imports"])


@router.post("/v1/customers/importable", responses=documented(400))
async def find_importable(
    body: Targets, session: Read, _: Annotated[Principal, Depends(requires("customers:import"))]
) -> Takes:
    """Which tags a file may give, and which of these consents it cannot tell, and why."""
    unfit = [
        Unfit.model_validate({"index": index, "code": code, "detail": detail})
        for index, code, detail in await service.unfit(session, body.consents)
    ]
    return Takes(tags=await service.givable(session), unfit=unfit)
