"""The route of announcements."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from perennial.common import audit, operations
from perennial.common.auth import Principal, requires
from perennial.common.operations import OperationOut
from perennial.common.web import Repeatable, Write, documented
from perennial.segments.announcing import service
from perennial.segments.announcing.schemas import AnnounceIn
from perennial.segments.definitions import service as definitions

router = APIRouter(prefix="/v1/segments", tags=["segments"])
Writer = Annotated[Principal, Depends(requires("segments:write"))]


@router.post(
    "/{segment_id}/announce", status_code=202, response_model=OperationOut, responses=documented(400, 404, 409)
)
async def announce_members(
    segment_id: UUID, body: AnnounceIn, request: Request, session: Write, who: Writer, once: Repeatable
) -> Response:
    """Have the members of now said to whoever acts on entries: an operation that counts them.

    Imports, replays and builds fill segments and tell nobody outside. This publishes `segments.membership.entered.v1`
    for each member, with `announced: true`, the time of the entry and the version of the membership: webhooks deliver
    it, and a journey that begins with the segment takes whom it has not taken for this entry. One at a time for each
    segment; it gives way to what happens meanwhile.
    """

    async def work() -> OperationOut:
        row = await definitions.find_locked(session, segment_id)
        started = await service.start(session, who, row, body.since)
        said = {"operation": str(started.id), "since": body.since and body.since.isoformat()}
        await audit.record(session, who, "segment.announced", str(segment_id), said)
        return started

    return await operations.accepted(request, once, session, work)
