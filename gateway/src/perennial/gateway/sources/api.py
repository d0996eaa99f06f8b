"""`/v1/sources`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, documented, paged
from perennial.common.web.etags import IfMatch, tag
from perennial.gateway.deps import Edge, EdgeOf
from perennial.gateway.listing import after_of
from perennial.gateway.sources import queries, service
from perennial.gateway.sources.models import Source
from perennial.gateway.sources.schemas import NewSource, SourceChange, SourceOut

router = APIRouter(tags=["gateway"])

Reader = Annotated[Principal, Depends(requires("sources:read"))]
Writer = Annotated[Principal, Depends(requires("sources:write"))]
SourceId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]
Key = Annotated[str, Path(max_length=200, pattern="^[A-Za-z0-9_-]+$")]


@router.post("/v1/sources", status_code=201, responses=documented(400))
async def create_source(body: NewSource, principal: Writer, edge: EdgeOf, response: Response) -> SourceOut:
    """Create a source with its first write key, which works as soon as this answer arrives."""
    async with edge.runtime.database.write() as session:
        source = await service.create(session, by=principal, wanted=body.model_dump())
    response.headers["Location"] = f"/v1/sources/{source.id}"
    return await _refreshed(edge, source, response)


@router.get("/v1/sources", responses=documented(400))
async def list_sources(_: Reader, session: Read, page: PageQuery) -> Page[SourceOut]:
    """Sources, oldest first."""
    rows = await queries.page(session, page.limit + 1, after_of(page))
    found = [SourceOut.of(row) for row in rows]
    return paged(found, page, lambda source: (source.created_at.isoformat(), source.id))


@router.get("/v1/sources/{source_id}", responses=documented(404))
async def get_source(source_id: SourceId, _: Reader, session: Read, response: Response) -> SourceOut:
    """One source."""
    source = await found(session, source_id)
    tag(response, source.version)
    return SourceOut.of(source)


@router.patch("/v1/sources/{source_id}", responses=documented(400, 404, 412, 428))
async def change_source(
    source_id: SourceId, body: SourceChange, principal: Writer, expected: IfMatch, edge: EdgeOf, response: Response
) -> SourceOut:
    """Change a source; what the body does not name stays. It holds in every gateway process a moment later."""
    wanted = body.model_dump(exclude_unset=True)
    async with edge.runtime.database.write() as session:
        source = await service.change(session, source_id, by=principal, expected=expected, wanted=wanted)
    return await _refreshed(edge, source, response)


@router.post("/v1/sources/{source_id}/rotate-key", responses=documented(404))
async def rotate_source_key(source_id: SourceId, principal: Writer, edge: EdgeOf, response: Response) -> SourceOut:
    """Add a new write key; the newest old one stays live until the next rotation, or until it is retired."""
    async with edge.runtime.database.write() as session:
        source = await service.rotate(session, source_id, by=principal)
    return await _refreshed(edge, source, response)


@router.delete("/v1/sources/{source_id}/write-keys/{key}", status_code=204, responses=documented(404, 409))
async def retire_source_key(source_id: SourceId, key: Key, principal: Writer, edge: EdgeOf) -> None:
    """Refuse one write key from now on; not the last one."""
    async with edge.runtime.database.write() as session:
        await service.retire(session, source_id, key, by=principal)
    await edge.access.refresh()


@router.post("/v1/sources/{source_id}/disable", responses=documented(404))
async def disable_source(source_id: SourceId, principal: Writer, edge: EdgeOf, response: Response) -> SourceOut:
    """Refuse a source's events from now on."""
    async with edge.runtime.database.write() as session:
        source = await service.switch(session, source_id, by=principal, enabled=False)
    return await _refreshed(edge, source, response)


@router.post("/v1/sources/{source_id}/enable", responses=documented(404))
async def enable_source(source_id: SourceId, principal: Writer, edge: EdgeOf, response: Response) -> SourceOut:
    """Accept a source's events again."""
    async with edge.runtime.database.write() as session:
        source = await service.switch(session, source_id, by=principal, enabled=True)
    return await _refreshed(edge, source, response)


async def found(session: ReadSession, source_id: str) -> Source:
    """The source in a path. Raises NotFound."""
    source = await queries.by_id(session, source_id)
    if source is None:
        raise service.missing(source_id)
    return source


async def _refreshed(edge: Edge, source: Source, response: Response) -> SourceOut:
    await edge.access.refresh()
    tag(response, source.version)
    return SourceOut.of(source)
