"""`/v1/suggestions`: probable duplicates, to be approved or rejected."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import RowMapping

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound, documented
from perennial.common.web import Page, PageQuery, Read, Write, cursors, paged
from perennial.identity import queries as map_queries
from perennial.identity.suggestions import queries, service
from perennial.identity.suggestions.schemas import Decision, State, SuggestionShown

router = APIRouter(prefix="/v1/suggestions", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]
LARGEST_WEIGHT = 2.0**100


@router.get("", responses=documented(400))
async def list_suggestions(
    page: PageQuery,
    session: Read,
    who: Reader,
    state: Annotated[State, Query()] = "pending",
    customer_id: Annotated[UUID | None, Query()] = None,
) -> Page[SuggestionShown]:
    """Suggestions, the most probable first."""
    customer = customer_id
    if customer is not None:
        customer = (await map_queries.resolve(session, [customer])).get(customer, customer)
    rows = await queries.listing(session, state, customer, cursors.last(page, _weight, cursors.uuid), page.limit + 1)
    return paged([_shown(row, who) for row in rows], page, lambda item: [str(item.weight), item.id])


@router.get("/{suggestion_id}", responses=documented(404))
async def get_suggestion(suggestion_id: UUID, session: Read, who: Reader) -> SuggestionShown:
    """A suggestion, with what speaks for it and against it."""
    return await _found(session, suggestion_id, who)


@router.post("/{suggestion_id}/approve", responses=documented(400, 404, 409))
async def approve_suggestion(suggestion_id: UUID, body: Decision, session: Write, principal: Writer) -> SuggestionShown:
    """Merge the two; the merge can be undone as any other."""
    await service.approve(session, suggestion_id, body.reason, principal)
    return await _found(session, suggestion_id, principal)


@router.post("/{suggestion_id}/reject", responses=documented(400, 404, 409))
async def reject_suggestion(suggestion_id: UUID, body: Decision, session: Write, principal: Writer) -> SuggestionShown:
    """They are two people; this is remembered."""
    await service.reject(session, suggestion_id, body.reason, principal)
    return await _found(session, suggestion_id, principal)


async def _found(session: ReadSession, suggestion_id: UUID, who: Principal) -> SuggestionShown:
    row = await queries.one(session, suggestion_id)
    if row is None:
        raise NotFound(f"there is no suggestion {suggestion_id}", pointer="path/suggestion_id")
    return _shown(row, who)


def _shown(row: RowMapping, who: Principal) -> SuggestionShown:
    return SuggestionShown.model_validate({**row, "customer_ids": [row["low"], row["high"]]}).seen_by(who)


def _weight(part: Any) -> float:
    """As the list writes it; what a real cannot hold was never in it."""
    weight = float(cursors.text(part))
    if not abs(weight) < LARGEST_WEIGHT:
        raise ValueError("not a weight")
    return weight
