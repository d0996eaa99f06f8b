"""`/v1/merges`: what was joined, joining by hand, undoing."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common.auth import Principal, requires
from perennial.common.problems import documented
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write
from perennial.identity.deeds import Deeds
from perennial.identity.merges import queries, service
from perennial.identity.merges.schemas import MergeCreate, MergeShown, MergeUndo
from perennial.identity.previews import api as ahead
from perennial.identity.previews import service as previews
from perennial.identity.previews.schemas import PREVIEWED, MapPreview, Previewed

router = APIRouter(prefix="/v1/merges", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


DEEDS = Deeds("merge", MergeShown, queries.one, queries.listing, service.of_merge)


@router.post("", status_code=201, response_model=MergeShown, responses=documented(400, 404, 409) | PREVIEWED)
async def create_merge(
    body: MergeCreate, request: Request, session: Write, principal: Writer, once: Repeatable, *,
    preview: Previewed = False,
) -> Response:  # fmt: skip
    """Make one customer of two. Refused when each has a user_id."""
    verb = partial(service.merge, pair=body.customer_ids, reason=body.reason, principal=principal)
    if preview:
        return await ahead.answer(request, previews.named(*body.customer_ids), verb)
    return await DEEDS.do(session, verb, principal, once)


@router.get("", responses=documented(400))
async def list_merges(
    page: PageQuery, session: Read, who: Reader, customer_id: Annotated[UUID | None, Query()] = None
) -> Page[MergeShown]:
    """Merges, newest first; of one customer, by today's id or an old one."""
    return await DEEDS.page(session, page, customer_id, who)


@router.get("/{merge_id}", responses=documented(404))
async def get_merge(merge_id: UUID, session: Read, who: Reader) -> MergeShown:
    """A merge with its evidence."""
    return await DEEDS.get(session, merge_id, who)


@router.post(
    "/{merge_id}/undo", response_model=MergeShown | MapPreview, responses=documented(400, 404, 409)
)  # fmt: skip
async def undo_merge(
    merge_id: UUID, body: MergeUndo, request: Request, session: Write, principal: Writer, *, preview: Previewed = False
) -> Any:
    """Two customers again; facts follow their identifiers."""
    verb = partial(service.undo, merge_id=merge_id, reason=body.reason, principal=principal)
    if preview:
        return await DEEDS.preview_undo(request, merge_id, verb)
    return await DEEDS.undo(session, merge_id, verb, principal)
