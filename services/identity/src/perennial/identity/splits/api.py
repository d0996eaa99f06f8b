"""`/v1/splits`: making two customers of one, and undoing it."""

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
from perennial.identity.pages import last_id
from perennial.identity.previews import api as ahead
from perennial.identity.previews import service as previews
from perennial.identity.previews.schemas import PREVIEWED, MapPreview, Previewed
from perennial.identity.splits import queries as sql
from perennial.identity.splits import service
from perennial.identity.splits.schemas import SplitCreate, SplitShown, SplitUndo

router = APIRouter(prefix="/v1/splits", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


async def _shown(session: ReadSession, split_id: UUID, who: Principal) -> SplitShown:
    found = await sql.one(session, split_id)
    if found is None:
        raise NotFound(f"there is no split {split_id}", pointer="path/split_id")
    return SplitShown.model_validate(dict(found)).seen_by(who)


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

    async def split() -> SplitShown:
        return await _shown(session, await verb(session), principal)

    return await run(once, session, split, 201, location="/v1/splits/{id}")


@router.get("", responses=documented(400))
async def list_splits(
    page: PageQuery, session: Read, who: Reader, customer_id: Annotated[UUID | None, Query()] = None
) -> Page[SplitShown]:
    """Splits, newest first; of one customer, by today's id or an old one."""
    customers = None
    if customer_id is not None:
        today = (await queries.resolve(session, [customer_id])).get(customer_id, customer_id)
        customers = [customer_id, today]
    rows = await sql.listing(session, last_id(page), page.limit + 1, customers)
    items = [SplitShown.model_validate(dict(row)).seen_by(who) for row in rows]
    return paged(items, page, lambda item: [item.id])


@router.get("/{split_id}", responses=documented(404))
async def get_split(split_id: UUID, session: Read, who: Reader) -> SplitShown:
    """A split."""
    return await _shown(session, split_id, who)


@router.post(
    "/{split_id}/undo", response_model=SplitShown | MapPreview, responses=documented(400, 404, 409)
)  # fmt: skip
async def undo_split(
    split_id: UUID, body: SplitUndo, request: Request, session: Write, principal: Writer, *, preview: Previewed = False
) -> Any:
    """One customer again, unless something else keeps the two apart. It is a merge, which can be undone in turn."""
    verb = partial(service.undo, split_id=split_id, reason=body.reason, principal=principal)
    if preview:
        return await ahead.answer(request, previews.of_split(split_id), verb)
    await verb(session)
    return await _shown(session, split_id, principal)
