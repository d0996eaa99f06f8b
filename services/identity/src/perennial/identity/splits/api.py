"""`/v1/splits`: making two customers of one, and undoing it."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common.auth import Principal, requires
from perennial.common.problems import documented
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write
from perennial.identity.deeds import Deeds
from perennial.identity.previews import api as ahead
from perennial.identity.previews import service as previews
from perennial.identity.previews.schemas import PREVIEWED, MapPreview, Previewed
from perennial.identity.splits import queries, service
from perennial.identity.splits.schemas import SplitCreate, SplitShown, SplitUndo

router = APIRouter(prefix="/v1/splits", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


DEEDS = Deeds("split", SplitShown, queries.one, queries.listing, service.of_split)


@router.post("", status_code=201, response_model=SplitShown, responses=documented(400, 404, 409) | PREVIEWED)
async def create_split(
    body: SplitCreate, request: Request, session: Write, principal: Writer, once: Repeatable, *,
    preview: Previewed = False,
) -> Response:  # fmt: skip
    """Make two customers of one: the identifiers named, and the rest. Facts follow their identifiers."""
    chosen, reason = body.identifiers, body.reason
    verb = partial(service.split, any_id=body.customer_id, identifiers=chosen, reason=reason, principal=principal)
    if preview:
        return await ahead.answer(request, previews.named(body.customer_id), verb)
    return await DEEDS.do(session, verb, principal, once)


@router.get("", responses=documented(400))
async def list_splits(
    page: PageQuery, session: Read, who: Reader, customer_id: Annotated[UUID | None, Query()] = None
) -> Page[SplitShown]:
    """Splits, newest first; of one customer, by today's id or an old one."""
    return await DEEDS.page(session, page, customer_id, who)


@router.get("/{split_id}", responses=documented(404))
async def get_split(split_id: UUID, session: Read, who: Reader) -> SplitShown:
    """A split."""
    return await DEEDS.get(session, split_id, who)


@router.post(
    "/{split_id}/undo", response_model=SplitShown | MapPreview, responses=documented(400, 404, 409)
)  # fmt: skip
async def undo_split(
    split_id: UUID, body: SplitUndo, request: Request, session: Write, principal: Writer, *, preview: Previewed = False
) -> Any:
    """One customer again, unless something else keeps the two apart. It is a merge, which can be undone in turn."""
    verb = partial(service.undo, split_id=split_id, reason=body.reason, principal=principal)
    if preview:
        return await DEEDS.preview_undo(request, split_id, verb)
    return await DEEDS.undo(session, split_id, verb, principal)
