"""`/v1/api-keys`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.web import NotFound, Page, PageQuery, Read, documented, paged
from perennial.gateway.listing import after_of
from perennial.gateway.principals.deps import EdgeOf
from perennial.gateway.principals.keys import queries, service
from perennial.gateway.principals.keys.models import ApiKey
from perennial.gateway.principals.keys.schemas import ApiKeyOut, IssuedApiKey, NewApiKey, Rotation

router = APIRouter(tags=["gateway"])

Reader = Annotated[Principal, Depends(requires("keys:read"))]
Writer = Annotated[Principal, Depends(requires("keys:write"))]
KeyId = Annotated[str, Path(max_length=100, pattern="^[A-Za-z0-9_-]+$")]


@router.post("/v1/api-keys", status_code=201, responses=documented(400), openapi_extra={"x-shown-once": True})
async def issue_api_key(body: NewApiKey, principal: Writer, edge: EdgeOf, response: Response) -> IssuedApiKey:
    """Issue an API key; its text is in this answer and nowhere else."""
    async with edge.runtime.database.write() as session:
        key, text = await service.issue(session, principal, body.model_dump())
    response.headers["Location"] = f"/v1/api-keys/{key.id}"
    return await _issued(edge, key, text, response)


@router.get("/v1/api-keys", responses=documented(400))
async def list_api_keys(_: Reader, session: Read, page: PageQuery) -> Page[ApiKeyOut]:
    """API keys, oldest first."""
    rows = await queries.page(session, page.limit + 1, after_of(page))
    found = [ApiKeyOut.model_validate(row) for row in rows]
    return paged(found, page, lambda key: (key.created_at.isoformat(), key.id))


@router.get("/v1/api-keys/{key_id}", responses=documented(404))
async def get_api_key(key_id: KeyId, _: Reader, session: Read) -> ApiKeyOut:
    """One API key, without its text."""
    key = await queries.by_id(session, key_id)
    if key is None:
        raise NotFound(f"key_id: there is no API key {key_id!r}", pointer="path/key_id")
    return ApiKeyOut.model_validate(key)


@router.post("/v1/api-keys/{key_id}/rotate", responses=documented(400, 404, 409))
async def rotate_api_key(
    key_id: KeyId, body: Rotation, principal: Writer, edge: EdgeOf, response: Response
) -> IssuedApiKey:
    """Give an API key a new text; the old one may live on for a while."""
    async with edge.runtime.database.write() as session:
        key, text = await service.rotate(session, key_id, by=principal, until=body.previous_until)
    return await _issued(edge, key, text, response)


@router.delete("/v1/api-keys/{key_id}", status_code=204, responses=documented(404))
async def revoke_api_key(key_id: KeyId, principal: Writer, edge: EdgeOf) -> None:
    """Revoke an API key, and every customer token that it minted, at once."""
    async with edge.runtime.database.write() as session:
        await service.revoke(session, key_id, by=principal)
    await edge.access.refresh()


async def _issued(edge: EdgeOf, key: ApiKey, text: str, response: Response) -> IssuedApiKey:
    await edge.access.refresh()
    response.headers["Cache-Control"] = "no-store"
    return IssuedApiKey(**ApiKeyOut.model_validate(key).model_dump(), key=text)
