"""Routes of segments."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Row

from perennial.common import audit, masks, rules
from perennial.common.auth import Principal, requires
from perennial.common.problems import BadRequest
from perennial.common.rules import Explanation
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.etags import IfMatch, match, tag
from perennial.common.web.idempotency import run
from perennial.segments.definitions import queries, service
from perennial.segments.definitions.schemas import (
    ExplainOut,
    MemberOut,
    PreviewIn,
    PreviewOut,
    Reason,
    SegmentChange,
    SegmentIn,
    SegmentOut,
)
from perennial.segments.memberships import queries as members

router = APIRouter(prefix="/v1/segments", tags=["segments"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]
Writer = Annotated[Principal, Depends(requires("segments:write"))]


def _out(row: Row[Any], who: Principal) -> SegmentOut:
    rule = masks.shown_rule(who, rules.parse(row.rule))
    shown = {
        "rule": rules.dump(rule),
        "sentence": rules.describe(rule),
        "error": row.error and masks.error(who, row.error),
    }
    return SegmentOut(**{**row._mapping, **shown})  # noqa: SLF001 (public API)


def _uuid(key: list[Any]) -> UUID | None:
    try:
        return UUID(str(key[0])) if key else None
    except ValueError as error:
        raise BadRequest("cursor: not a cursor of this list", code="bad_cursor", pointer="query/cursor") from error


@router.post("", status_code=201, response_model=SegmentOut, responses=documented(409))
async def create_segment(body: SegmentIn, session: Write, who: Writer, once: Repeatable) -> Response:
    """Define a segment. It is built in the background: `state` tells when it serves."""

    async def define() -> SegmentOut:
        segment_id = await service.define(session, who, body.name, body.rule)
        await audit.record(session, who, "segment.created", str(segment_id), {"name": body.name})
        return _out(await service.find(session, segment_id), who)

    return await run(once, session, define, 201, location="/v1/segments/{id}", etag="{version}")


@router.get("", responses=documented(400))
async def list_segments(page: PageQuery, session: Read, who: Reader) -> Page[SegmentOut]:
    """Every segment that is not archived, the oldest first."""
    rows = await queries.page(session, _uuid(page.after), page.limit + 1)
    return paged([_out(row, who) for row in rows], page, lambda item: [str(item.id)])


@router.post("/preview")
async def preview_segment(body: PreviewIn, session: Read, who: Reader) -> PreviewOut:
    """How many customers a rule holds for now, and some of them; nothing is kept."""
    rule, now = service.read_rule(who, body.rule), datetime.now(UTC)
    count, sample = await service.preview(session, rule, now)
    return PreviewOut(count=count, sample=sample, sentence=rules.describe(rule), as_of=now)


@router.get("/{segment_id}", responses=documented(404))
async def get_segment(segment_id: UUID, response: Response, session: Read, who: Reader) -> SegmentOut:
    """One segment."""
    row = await service.find(session, segment_id)
    tag(response, row.version)
    return _out(row, who)


@router.put("/{segment_id}", responses=documented(400, 404, 409, 412, 428))
async def replace_segment(
    segment_id: UUID, body: SegmentIn, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SegmentOut:
    """A new version of the whole definition."""
    change = SegmentChange(name=body.name, rule=body.rule)
    return await _change(segment_id, change, expected, response, session, who)


@router.patch("/{segment_id}", responses=documented(400, 404, 409, 412, 428))
async def change_segment(
    segment_id: UUID, body: SegmentChange, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SegmentOut:
    """A new version of part of the definition."""
    return await _change(segment_id, body, expected, response, session, who)


async def _change(
    segment_id: UUID, body: SegmentChange, expected: int | None, response: Response, session: Write, who: Principal
) -> SegmentOut:
    row = await service.find_locked(session, segment_id)
    match(expected, row.version)
    await service.change(session, who, row, body.name, body.rule)
    await audit.record(session, who, "segment.changed", str(segment_id), body.model_dump(exclude_unset=True))
    changed = await service.find(session, segment_id)
    tag(response, changed.version)
    return _out(changed, who)


@router.delete("/{segment_id}", status_code=204, responses=documented(400, 404, 409, 412, 428))
async def archive_segment(segment_id: UUID, expected: IfMatch, session: Write, who: Writer) -> None:
    """Archive a segment: its members leave it, its definition is kept."""
    row = await service.find_locked(session, segment_id)
    match(expected, row.version)
    await service.archive(session, row)
    await audit.record(session, who, "segment.archived", str(segment_id))


@router.get("/{segment_id}/members", responses=documented(400, 404))
async def list_members(segment_id: UUID, page: PageQuery, session: Read, who: Reader) -> Page[MemberOut]:
    """The members, by customer id."""
    await service.find(session, segment_id)
    rows = await members.page(session, segment_id, _uuid(page.after), page.limit + 1)
    items = [MemberOut(customer_id=row.customer_id, since=row.since) for row in rows]
    return paged(items, page, lambda item: [str(item.customer_id)])


@router.get("/{segment_id}/members/{customer_id}/explain", responses=documented(404))
async def explain_member(segment_id: UUID, customer_id: UUID, session: Read, who: Reader) -> ExplainOut:
    """Why a customer is a member, or is not: each part of the rule with what it saw."""
    row = await service.find(session, segment_id)
    customer, member, explanation = await service.explain(session, who, row, customer_id)
    return ExplainOut(customer_id=customer, member=member, as_of=datetime.now(UTC), reason=_reason(explanation, who))


def _reason(explanation: Explanation, who: Principal) -> Reason:
    return Reason(
        pointer=explanation.pointer,
        phrase=explanation.phrase,
        holds=explanation.holds,
        value=masks.compared_value(who, explanation.rule, explanation.value),
        evidence=[
            {"at": seen.at, "properties": masks.properties(who, seen.properties)} for seen in explanation.evidence
        ],
        next_change=explanation.next_change,
        parts=[_reason(part, who) for part in explanation.parts],
    )
