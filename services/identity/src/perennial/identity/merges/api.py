"""`/v1/merges`: what was joined, joining by hand, undoing."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound, documented
from perennial.common.web import Page, PageQuery, Read, Repeatable, Write, paged
from perennial.common.web.idempotency import run
from perennial.identity import queries
from perennial.identity.merges import queries as sql
from perennial.identity.merges import service
from perennial.identity.merges.schemas import MergeCreate, MergeShown, MergeUndo
from perennial.identity.pages import last_id
from perennial.identity.previews import api as ahead
from perennial.identity.previews import service as previews
from perennial.identity.previews.schemas import PREVIEWED, MapPreview, Previewed

router = APIRouter(prefix="/v1/merges", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


async def _shown(session: ReadSession, merge_id: UUID, who: Principal) -> MergeShown:
    found = await sql.one(session, merge_id)
    if found is None:
        raise NotFound(f"there is no merge {merge_id}", pointer="path/merge_id")
    return MergeShown.model_validate(dict(found)).seen_by(who)


@router.post("", status_code=201, response_model=MergeShown, responses=documented(400, 404, 409) | PREVIEWED)
async def create_merge(
    body: MergeCreate, request: Request, session: Write, principal: Writer, once: Repeatable, *,
    preview: Previewed = False,
) -> Response:  # fmt: skip
    """Make one customer of two. Refused when each has a user_id."""
    verb = partial(service.merge, pair=body.customer_ids, reason=body.reason, principal=principal)
    if preview:
        return await ahead.answer(request, previews.named(*body.customer_ids), verb)

    async def merge() -> MergeShown:
        return await _shown(session, await verb(session), principal)

    return await run(once, session, merge, 201, location="/v1/merges/{id}")


@router.get("", responses=documented(400))
async def list_merges(
    page: PageQuery, session: Read, who: Reader, customer_id: Annotated[UUID | None, Query()] = None
) -> Page[MergeShown]:
    """Merges, newest first; of one customer, by today's id or an old one."""
    customers = None
    if customer_id is not None:
        today = (await queries.resolve(session, [customer_id])).get(customer_id, customer_id)
        customers = [customer_id, today]
    rows = await sql.listing(session, last_id(page), page.limit + 1, customers)
    items = [MergeShown.model_validate(dict(row)).seen_by(who) for row in rows]
    return paged(items, page, lambda item: [item.id])


@router.get("/{merge_id}", responses=documented(404))
async def get_merge(merge_id: UUID, session: Read, who: Reader) -> MergeShown:
    """A merge with its evidence."""
    return await _shown(session, merge_id, who)


@router.post(
    "/{merge_id}/undo", response_model=MergeShown | MapPreview, responses=documented(400, 404, 409)
)  # fmt: skip
async def undo_merge(
    merge_id: UUID, body: MergeUndo, request: Request, session: Write, principal: Writer, *, preview: Previewed = False
) -> Any:
    """Two customers again; facts follow their identifiers."""
    verb = partial(service.undo, merge_id=merge_id, reason=body.reason, principal=principal)
    if preview:
        return await ahead.answer(request, previews.of_merge(merge_id), verb)
    await verb(session)
    return await _shown(session, merge_id, principal)
