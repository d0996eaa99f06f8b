"""Routes of retention."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import Read, Write, documented
from perennial.common.web.etags import IfMatch, tag
from perennial.profile.timeline.retention import queries, service
from perennial.profile.timeline.retention.schemas import Retention

router = APIRouter(tags=["timeline"])


@router.get("/v1/timeline/retention", dependencies=[Depends(requires("schema:read"))])
async def get_retention(session: Read, response: Response) -> Retention:
    """For how long the timeline keeps what."""
    months, version = await queries.read(session)
    tag(response, version)
    return Retention.model_validate(months)


@router.put("/v1/timeline/retention", responses=documented(412, 428))
async def set_retention(
    body: Retention,
    session: Write,
    response: Response,
    if_match: IfMatch,
    who: Annotated[Principal, Depends(requires("retention:write"))],
) -> Retention:
    """What is kept no longer is dropped within a day, by whole months; nothing brings it back."""
    months, version = await service.change(session, who, body.model_dump(), if_match)
    tag(response, version)
    return Retention.model_validate(months)
