"""Shared identifiers: the list, and a person's word on one of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import documented
from perennial.common.web import Page, PageQuery, Read, Write, paged
from perennial.common.web.cursors import last_id
from perennial.identity import queries as map_queries
from perennial.identity.settings import vault_of
from perennial.identity.sharing import queries, service
from perennial.identity.sharing.schemas import IdentifierState, SharedShown, SharingDecision

router = APIRouter(prefix="/v1", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Manager = Annotated[Principal, Depends(requires("identities:manage"))]


@router.get("/shared-identifiers", responses=documented(400))
async def list_shared_identifiers(page: PageQuery, session: Read, request: Request, who: Reader) -> Page[SharedShown]:
    """Identifiers that join nobody because they belong to several people: shop tablets, family phones."""
    vault = vault_of(request.app.state.settings)
    rows = await queries.listing(session, last_id(page), page.limit + 1)
    items = [
        SharedShown.model_validate({**row, "value": vault.open(row["sealed"], row["digest"])}).seen_by(who)
        for row in rows
    ]
    return paged(items, page, lambda item: [item.id])


@router.post("/identifiers/{identifier_id}/share", responses=documented(400, 404, 409))
async def share_identifier(
    identifier_id: UUID, body: SharingDecision, session: Write, principal: Manager
) -> IdentifierState:
    """It leaves its customer and joins nobody from now on. What was stored through it stays with it."""
    await service.share(session, identifier_id, body.reason, principal)
    return await _state(session, identifier_id)


@router.post("/identifiers/{identifier_id}/unshare", responses=documented(400, 404, 409))
async def unshare_identifier(
    identifier_id: UUID, body: SharingDecision, session: Write, principal: Manager
) -> IdentifierState:
    """It may join somebody again, by later evidence; it is not put back by itself."""
    await service.unshare(session, identifier_id, body.reason, principal)
    return await _state(session, identifier_id)


async def _state(session: ReadSession, via: UUID) -> IdentifierState:
    return IdentifierState.model_validate(await map_queries.state(session, via))
