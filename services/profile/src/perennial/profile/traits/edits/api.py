"""Routes of a customer's traits: written by hand, explained, and who wrote what."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from perennial.common.auth import Principal, requires
from perennial.common.rules import trait_key
from perennial.common.web import Idempotent, Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_id
from perennial.profile.params import Word
from perennial.profile.traits.edits import service
from perennial.profile.traits.edits.schemas import TraitEdit, TraitExplained, TraitsEdit, TraitsEdited
from perennial.profile.traits.readers import MayRead

router = APIRouter(prefix="/v1/customers/{id}/traits", tags=["traits"])

Editor = Annotated[Principal, Depends(requires("customers:write"))]
Key = Annotated[Word, Path(min_length=1, max_length=200, description="In any spelling.")]


@router.patch("", responses=documented(400, 404, 409), response_model=TraitsEdited)
async def edit_customer_traits(id: UUID, body: TraitsEdit, session: Write, once: Idempotent, who: Editor) -> Response:
    """Write traits by hand, checked as the form says; who and why stay on the record."""
    return await once.run(session, lambda: service.edit(session, who, id, body), 200)


@router.get("/{key}", responses=documented(404))
async def explain_customer_trait(id: UUID, key: Key, session: Read, who: MayRead) -> TraitExplained:
    """What is shown for a trait, what each source says of it, and why it is shown or is not."""
    return await service.explained(session, who, id, trait_key(key))


@router.get("/{key}/history", responses=documented(400, 404))
async def list_trait_edits(id: UUID, key: Key, session: Read, page: PageQuery, who: MayRead) -> Page[TraitEdit]:
    """What staff wrote by hand: who, why, when, and what it took the place of; newest first."""
    edits = await service.history(session, who, id, trait_key(key), last_id(page), page.limit + 1)
    return paged(edits, page, lambda item: [item.id])
