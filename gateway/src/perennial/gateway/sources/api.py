"""`/v1/sources`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.web import NotFound, Page, PageQuery, Read, documented, paged
from perennial.gateway.edge import EdgeOf
from perennial.gateway.listing import after_of, before_of
from perennial.gateway.principals.authenticate import requires
from perennial.gateway.sources import queries, service
from perennial.gateway.sources.models import Source
from perennial.gateway.sources.schemas import NewSource, SourceOut, ViolationOut
from perennial.gateway.tracking import queries as violations

router = APIRouter(tags=["gateway"])

Reader = Annotated[Principal, Depends(requires("sources:read"))]
Writer = Annotated[Principal, Depends(requires("sources:write"))]
SourceId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


@router.post("/v1/sources", status_code=201, responses=documented(400))
async def create_source(body: NewSource, principal: Writer, edge: EdgeOf) -> SourceOut:
    """Create a source with its first write key, which works as soon as this answer arrives."""
    async with edge.runtime.database.write() as session:
        source = await service.create(session, by=principal, **body.model_dump())
    await edge.access.refresh()
    return SourceOut.of(source)


@router.get("/v1/sources", responses=documented(400))
async def list_sources(_: Reader, session: Read, page: PageQuery) -> Page[SourceOut]:
    """Sources, oldest first."""
    rows = await queries.page(session, page.limit + 1, after_of(page))
    found = [SourceOut.of(row) for row in rows]
    return paged(found, page, lambda source: (source.created_at.isoformat(), source.id))


@router.get("/v1/sources/{source_id}", responses=documented(404))
async def get_source(source_id: SourceId, _: Reader, session: Read) -> SourceOut:
    """One source."""
    return SourceOut.of(await _found(session, source_id))


@router.get("/v1/sources/{source_id}/violations", responses=documented(400, 404))
async def list_violations(source_id: SourceId, _: Reader, session: Read, page: PageQuery) -> Page[ViolationOut]:
    """Events of a source that were rejected in the last thirty days, newest first."""
    await _found(session, source_id)
    rows = await violations.page(session, source_id, page.limit + 1, before_of(page))
    return paged([ViolationOut.model_validate(row) for row in rows], page, lambda item: (item.id,))


@router.post("/v1/sources/{source_id}/rotate-key", responses=documented(404))
async def rotate_source_key(source_id: SourceId, principal: Writer, edge: EdgeOf) -> SourceOut:
    """Add a new write key; the newest old one stays live until the next rotation."""
    async with edge.runtime.database.write() as session:
        source = await service.rotate(session, source_id, by=principal)
    await edge.access.refresh()
    return SourceOut.of(source)


@router.post("/v1/sources/{source_id}/disable", responses=documented(404))
async def disable_source(source_id: SourceId, principal: Writer, edge: EdgeOf) -> SourceOut:
    """Refuse a source's events from now on."""
    return await _switch(source_id, principal, edge, enabled=False)


@router.post("/v1/sources/{source_id}/enable", responses=documented(404))
async def enable_source(source_id: SourceId, principal: Writer, edge: EdgeOf) -> SourceOut:
    """Accept a source's events again."""
    return await _switch(source_id, principal, edge, enabled=True)


async def _found(session: ReadSession, source_id: str) -> Source:
    source = await queries.by_id(session, source_id)
    if source is None:
        raise NotFound(f"source_id: there is no source {source_id!r}", pointer="path/source_id")
    return source


async def _switch(source_id: str, principal: Principal, edge: EdgeOf, *, enabled: bool) -> SourceOut:
    async with edge.runtime.database.write() as session:
        source = await service.switch(session, source_id, by=principal, enabled=enabled)
    await edge.access.refresh()
    return SourceOut.of(source)
