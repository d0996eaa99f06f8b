"""HTTP: the programme."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import NotFound, Read, Write, documented
from perennial.common.web.etags import IfMatch, tag
from perennial.loyalty.programme import service
from perennial.loyalty.programme.definition import Programme
from perennial.loyalty.programme.schemas import ProgrammeIn

router = APIRouter(prefix="/v1/loyalty/programme", tags=["loyalty"])

Reader = Annotated[Principal, Depends(requires("loyalty:read"))]
Manager = Annotated[Principal, Depends(requires("loyalty:manage"))]


@router.get("", responses=documented(404))
async def get_programme(
    _: Reader, session: Read, response: Response, version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> Programme:
    """The programme in force, or an earlier version of it."""
    found = [item.programme for item in await service.history(session)]
    chosen = found[-1] if version is None else next((item for item in found if item.version == version), None)
    if chosen is None:
        raise NotFound(f"version: the programme has {len(found)} versions", pointer="query/version")
    tag(response, chosen.version)
    return chosen


@router.put("", responses=documented(400, 412, 428))
async def put_programme(
    principal: Manager, body: ProgrammeIn, expected: IfMatch, session: Write, response: Response
) -> Programme:
    """Replace the programme; what was earned before stays as it is."""
    made = await service.replace(session, principal, expected, body)
    tag(response, made.version)
    return made
