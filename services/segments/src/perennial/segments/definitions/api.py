"""Routes of segments as they are defined."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import Row

from perennial.common import audit, masks, rules
from perennial.common.auth import Principal, requires
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_id, last_number
from perennial.common.web.etags import IfMatch, match, tag
from perennial.common.web.idempotency import run
from perennial.segments.definitions import previews, queries, service
from perennial.segments.definitions.checks import check_references, read_rule
from perennial.segments.definitions.fields import check_fields
from perennial.segments.definitions.schemas import (
    DependenciesOut,
    LeafOut,
    OverlapOut,
    PreviewIn,
    PreviewOut,
    Progress,
    SegmentChange,
    SegmentIn,
    SegmentName,
    SegmentOut,
    SegmentReplacement,
    UserOut,
    VersionOut,
)
from perennial.segments.months.service import short_since
from perennial.segments.users import queries as elsewhere

router = APIRouter(prefix="/v1/segments", tags=["segments"])
Reader = Annotated[Principal, Depends(requires("segments:read"))]
Writer = Annotated[Principal, Depends(requires("segments:write"))]
LAST = 2**31 - 1
Version = Annotated[int, Path(ge=1, lt=LAST)]


def said(document: Any, who: Principal) -> dict[str, Any]:
    """A rule as it is shown: the document and the sentence; none of a list."""
    if document is None:
        return {"rule": None, "sentence": None}
    rule = masks.shown_rule(who, rules.parse(document))
    return {"rule": rules.dump(rule), "sentence": rules.describe(rule)}


def _out(row: Row[Any], who: Principal) -> SegmentOut:
    shown = {**said(row.rule, who), "error": row.error and masks.error(who, row.error)}
    progress = None if row.done is None else Progress(done=row.done, total=row.total)
    since = None if row.rule is None else short_since(rules.parse(row.rule), row.complete_since, datetime.now(UTC))
    return SegmentOut(**{**row._mapping, **shown, "progress": progress, "events_since": since})  # noqa: SLF001 (public API)


@router.post("", status_code=201, response_model=SegmentOut, responses=documented(409))
async def create_segment(body: SegmentIn, session: Write, who: Writer, once: Repeatable) -> Response:
    """Define a segment. By rule, it is built in the background: `state` tells when it serves."""

    async def define() -> SegmentOut:
        made = await service.define(session, who, body.name, body.rule, kind=body.kind, draft=body.draft)
        await audit.record(session, who, "segment.created", str(made), {"name": body.name, "kind": body.kind})
        return _out(await service.find(session, made), who)

    return await run(once, session, define, 201, location="/v1/segments/{id}", etag="{version}")


@router.get("", responses=documented(400))
async def list_segments(page: PageQuery, session: Read, who: Reader) -> Page[SegmentOut]:
    """Every segment that is not archived, the oldest first."""
    rows = await queries.page(session, last_id(page), page.limit + 1)
    return paged([_out(row, who) for row in rows], page, lambda item: [str(item.id)])


@router.post("/preview")
async def preview_segment(body: PreviewIn, session: Read, who: Reader) -> PreviewOut:
    """How many customers a rule holds for now, some of them, and where they are already; nothing is kept."""
    rule, now = read_rule(who, body.rule), datetime.now(UTC)
    await check_references(session, rule, None)
    await check_fields(session, rule)
    tried = await previews.preview(session, rule, now, exact=body.exact)
    counted = tried.counted
    return PreviewOut.model_validate(
        {
            "count": counted.count,
            "margin": counted.margin,
            "exact": counted.times == 1,
            "sample": tried.sample,
            "sentence": rules.describe(rule),
            "leaves": [_leaf(leaf) for leaf in tried.leaves],
            "overlaps": [_overlap(overlap) for overlap in tried.overlaps],
            "estimated": tried.estimated,
            "unheard": tried.unheard,
            "events_since": tried.events_since,
            "as_of": now,
        }
    )


def _leaf(leaf: previews.Leaf) -> LeafOut:
    found = leaf.counted
    count, margin = (None, None) if found is None else (found.count, found.margin)
    return LeafOut(pointer=leaf.pointer, phrase=rules.describe(leaf.rule), count=count, margin=margin)


def _overlap(found: previews.Overlap) -> OverlapOut:
    counted = found.counted
    return OverlapOut(
        segment_id=found.segment_id,
        name=found.name,
        count=counted.count,
        margin=counted.margin,
        size=found.size.count,
        size_margin=found.size.margin,
    )


@router.get("/{segment_id}", responses=documented(404))
async def get_segment(segment_id: UUID, response: Response, session: Read, who: Reader) -> SegmentOut:
    """One segment."""
    row = await service.find(session, segment_id)
    tag(response, row.version)
    return _out(row, who)


@router.put("/{segment_id}", responses=documented(400, 404, 409, 412, 428))
async def replace_segment(
    segment_id: UUID, body: SegmentReplacement, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SegmentOut:
    """A new version of the whole definition."""
    change = SegmentChange(**body.model_dump(exclude_unset=True))
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
    await service.change(session, who, row, body.name, body.rule, draft=body.draft)
    await audit.record(session, who, "segment.changed", str(segment_id), body.model_dump(exclude_unset=True))
    return await _tagged(session, segment_id, response, who)


async def _tagged(session: Write, segment_id: UUID, response: Response, who: Principal) -> SegmentOut:
    changed = await service.find(session, segment_id)
    tag(response, changed.version)
    return _out(changed, who)


@router.delete("/{segment_id}", status_code=204, responses=documented(400, 404, 409, 412, 428))
async def archive_segment(segment_id: UUID, expected: IfMatch, session: Write, who: Writer) -> None:
    """Archive a segment: its members leave it, its definition is kept. Not while a rule of any service asks for it."""
    row = await service.find_locked(session, segment_id)
    match(expected, row.version)
    await service.archive(session, row)
    await audit.record(session, who, "segment.archived", str(segment_id))


@router.post("/{segment_id}/publish", responses=documented(400, 404, 409, 412, 428))
async def publish_segment(
    segment_id: UUID, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SegmentOut:
    """Have a draft built, or once more what failed; the version before serves meanwhile."""
    row = await service.find_locked(session, segment_id)
    match(expected, row.version)
    await service.publish(session, who, row)
    await audit.record(session, who, "segment.published", str(segment_id), {"version": row.version})
    return await _tagged(session, segment_id, response, who)


@router.get("/{segment_id}/versions", responses=documented(400, 404))
async def list_versions(segment_id: UUID, page: PageQuery, session: Read, who: Reader) -> Page[VersionOut]:
    """Every version of the definition, the newest first: who made it, when, and what it says."""
    await service.find(session, segment_id)
    until = last_number(page, LAST) or LAST
    rows = await queries.versions(session, segment_id, until, page.limit + 1)
    items = [VersionOut(**{**row._mapping, **said(row.rule, who)}) for row in rows]  # noqa: SLF001 (public API)
    return paged(items, page, lambda item: [item.version])


@router.post("/{segment_id}/versions/{version}/restore", responses=documented(400, 404, 409, 412, 428))
async def restore_version(
    segment_id: UUID, version: Version, expected: IfMatch, response: Response, session: Write, who: Writer
) -> SegmentOut:
    """A new version with the rule of an old one."""
    row = await service.find_locked(session, segment_id)
    match(expected, row.version)
    await service.restore(session, who, row, version)
    await audit.record(session, who, "segment.restored", str(segment_id), {"version": version})
    return await _tagged(session, segment_id, response, who)


@router.get("/{segment_id}/dependencies", responses=documented(404))
async def get_dependencies(segment_id: UUID, session: Read, who: Reader) -> DependenciesOut:
    """What a segment asks, in its newest version and in the one that serves, and who asks it.

    The rules of other services are journeys (what is published, the draft, and versions with somebody on them),
    dispatch rules, tags and ladders, moments after they have changed.
    """
    row = await service.find(session, segment_id)
    documents = [document for document in (row.rule, row.serving_rule) if document is not None]
    reads = [rules.footprint(rules.parse(document)) for document in documents]
    asked = await queries.named(session, sorted({one for each in reads for one in each.segments}))
    users = await queries.users_of(session, segment_id)
    others = await elsewhere.users_of(session, segment_id)
    return DependenciesOut(
        segments=[SegmentName(**one._mapping) for one in asked],  # noqa: SLF001 (public API)
        traits=sorted({key for each in reads for key in each.traits}),
        events=sorted({name for each in reads for name in each.events}),
        used_by=[SegmentName(**one._mapping) for one in users],  # noqa: SLF001 (public API)
        used_elsewhere=[UserOut(**one._mapping) for one in others],  # noqa: SLF001 (public API)
    )
