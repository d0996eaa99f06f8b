"""Routes of tag definitions."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from perennial.common import audit, masks
from perennial.common.auth import Principal
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, documented, paged
from perennial.common.web.cursors import last_number, last_text
from perennial.common.web.etags import IfMatch, match, tag
from perennial.common.web.idempotency import run
from perennial.profile.tags import counting
from perennial.profile.tags.definitions import queries, service
from perennial.profile.tags.definitions.schemas import (
    Dimension,
    Kind,
    TagChange,
    TagCount,
    TagIn,
    TagOut,
    TagsSummary,
    TagVersion,
)
from perennial.profile.traits.readers import MayRead, with_classes

router = APIRouter(prefix="/v1/tags", tags=["tags"])
MayDefine = Annotated[Principal, Depends(with_classes("schema:write"))]
MayLook = Annotated[Principal, Depends(with_classes("schema:read"))]
KeyPath = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{1,63}$")]


@router.post("", status_code=201, response_model=TagOut, responses=documented(409))
async def create_tag(body: TagIn, session: Write, who: MayDefine, once: Repeatable) -> Response:
    """Define a tag. Customers show one that is derived as soon as they have been looked at, in the background."""

    async def define() -> TagOut:
        row = await service.define(session, who, body)
        await audit.record(session, who, "tag.created", body.key, {"kind": body.kind})
        return service.shown(row, who)

    return await run(once, session, define, 201, location="/v1/tags/{key}", etag="{version}")


@router.get("", responses=documented(400))
async def list_tags(
    page: PageQuery,
    session: Read,
    who: MayLook,
    dimension: Annotated[Dimension | None, Query()] = None,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[Literal["active", "archived"], Query()] = "active",
) -> Page[TagOut]:
    """Definitions in the order of their keys."""
    after = last_text(page) or ""
    rows = await queries.page(session, after, page.limit + 1, active=state == "active", dimension=dimension, kind=kind)
    return paged([service.shown(row, who) for row in rows], page, lambda item: [item.key])


@router.get("/summary")
async def summarise_tags(session: Read, _: MayRead) -> TagsSummary:
    """How many customers show each tag, as it was a few minutes ago; nobody is counted before the first time."""
    found = await counting.counted(session, counting.TAG)
    items = [
        TagCount(
            key=row.key, label=row.label, dimension=row.dimension, kind=row.kind,
            customers=found.customers.get(row.key, 0),
        )
        for row in await queries.active(session)
    ]  # fmt: skip
    return TagsSummary(as_of=found.at, items=sorted(items, key=lambda item: (-item.customers, item.key)))


@router.get("/{key}", responses=documented(404))
async def get_tag(key: KeyPath, response: Response, session: Read, who: MayLook) -> TagOut:
    """One definition, archived or not."""
    row = await service.find(session, key)
    tag(response, row.version)
    return service.shown(row, who)


@router.get("/{key}/versions", responses=documented(400, 404))
async def list_tag_versions(key: KeyPath, page: PageQuery, session: Read, who: MayLook) -> Page[TagVersion]:
    """What the definition said before, the newest version first."""
    await service.find(session, key)
    rows = await queries.versions(session, key, last_number(page), page.limit + 1)
    found = [
        TagVersion(version=row.version, by=row.by, at=row.at, document=masks.shown_conditions(who, row.document))
        for row in rows
    ]
    return paged(found, page, lambda item: [item.version])


@router.patch("/{key}", responses=documented(400, 404, 412, 428))
async def change_tag(
    key: KeyPath, body: TagChange, expected: IfMatch, response: Response, session: Write, who: MayDefine
) -> TagOut:
    """A new version; a preset that is changed is the shop's from then on, and updates leave it alone."""
    row = await service.find(session, key, lock=True)
    match(expected, row.version)
    changed = await service.change(session, who, row, body)
    await audit.record(session, who, "tag.changed", key, body.model_dump(exclude_unset=True))
    tag(response, changed.version)
    return service.shown(changed, who)


@router.delete("/{key}", status_code=204, responses=documented(400, 404, 412, 428))
async def archive_tag(key: KeyPath, expected: IfMatch, session: Write, who: MayDefine) -> None:
    """Archive a tag: customers cease to show it. What was given by hand is kept, and shown again with `active`."""
    row = await service.find(session, key, lock=True)
    match(expected, row.version)
    await service.change(session, who, row, TagChange(active=False))
    await audit.record(session, who, "tag.archived", key)
