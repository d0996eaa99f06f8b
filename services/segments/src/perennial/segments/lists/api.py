"""Routes of lists: who is on one."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common import audit, operations
from perennial.common.auth import Principal, requires
from perennial.common.operations import OperationOut
from perennial.common.problems import UnsupportedMediaType
from perennial.common.web import Repeatable, Write, documented
from perennial.common.web.idempotency import run
from perennial.segments.definitions import service as definitions
from perennial.segments.lists import service
from perennial.segments.lists.schemas import MemberResult, MembersIn, MembersResult

router = APIRouter(prefix="/v1/segments", tags=["segments"])
Writer = Annotated[Principal, Depends(requires("segments:write"))]
Live = Annotated[bool, Query(description="Whether journeys and partners may hear of each member; else state only.")]
_FILE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/{segment_id}/members", response_model=MembersResult, responses=documented(400, 404, 409))
async def add_members(segment_id: UUID, body: MembersIn, session: Write, who: Writer, once: Repeatable) -> Response:
    """Put up to 1,000 people on a list; an outcome for each. Whoever is on it already stays as they are."""

    async def added() -> MembersResult:
        service.check_list(await definitions.find_locked(session, segment_id))
        by = f"{who.kind}:{who.id}"
        outcomes = await service.add(session, segment_id, by, body.members, live=True)
        return await _said(session, who, segment_id, body, outcomes, "segment.members_added")

    return await run(once, session, added)


@router.post("/{segment_id}/members/remove", response_model=MembersResult, responses=documented(400, 404, 409))
async def remove_members(segment_id: UUID, body: MembersIn, session: Write, who: Writer, once: Repeatable) -> Response:
    """Take up to 1,000 people off a list, by whichever of their identifiers they are on it."""

    async def removed() -> MembersResult:
        service.check_list(await definitions.find_locked(session, segment_id))
        outcomes = await service.remove(session, segment_id, body.members)
        return await _said(session, who, segment_id, body, outcomes, "segment.members_removed")

    return await run(once, session, removed)


async def _said(
    session: Write, who: Principal, segment_id: UUID, body: MembersIn, outcomes: list[service.Outcome], action: str
) -> MembersResult:
    counted: dict[str, int] = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    await audit.record(session, who, action, str(segment_id), counted)
    items = [MemberResult(member=said, outcome=one) for said, one in zip(body.members, outcomes, strict=True)]
    return MembersResult(segment_id=segment_id, items=items)


@router.post(
    "/{segment_id}/imports", status_code=202, response_model=OperationOut,
    responses=documented(400, 404, 409, 413, 415), openapi_extra=_FILE,
)  # fmt: skip
async def import_members(
    segment_id: UUID,
    request: Request,
    session: Write,
    who: Writer,
    once: Repeatable,
    live: Live = False,  # noqa: FBT002 (a query parameter)
) -> Response:
    """Put everybody in a CSV file on a list: an operation that counts, and lists the lines that mean nobody.

    The first line names the columns: `customer_id`, `identifier` (`kind:value`), or kinds of identifiers such as
    `email`; a line means whoever its first filled column means. UTF-8, at most 1 MiB.
    """
    sent = request.headers.get("content-type", "text/csv").partition(";")[0].strip().lower()
    if sent != "text/csv":
        raise UnsupportedMediaType("Content-Type must be text/csv: send the file itself", pointer="header/Content-Type")

    async def work() -> OperationOut:
        row = await definitions.find(session, segment_id)  # held by nobody who uploads slowly
        started = await service.start_import(session, who, row, live=live)
        await operations.save(session, started.id, service.FILE, service.MEDIA_TYPE, request.stream(), service.LIMIT)
        await audit.record(session, who, "segment.members_imported", str(segment_id), {"operation": str(started.id)})
        return started

    return await operations.accepted(request, once, session, work)
