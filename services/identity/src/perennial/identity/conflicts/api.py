"""`/v1/conflicts`: what could not be joined, for a person to decide."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound, documented
from perennial.common.web import Page, PageQuery, Read, Write, paged
from perennial.common.web.cursors import last_id
from perennial.identity import queries as map_queries
from perennial.identity.conflicts import queries, service
from perennial.identity.conflicts.schemas import Cause, ConflictDecision, ConflictShown, State

router = APIRouter(prefix="/v1/conflicts", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


@router.get("", responses=documented(400))
async def list_conflicts(
    page: PageQuery,
    session: Read,
    who: Reader,
    reason: Annotated[Cause | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    customer_id: Annotated[UUID | None, Query(description="Of one customer, by today's id or an old one.")] = None,
) -> Page[ConflictShown]:
    """Conflicts, newest first; the same identifiers in conflict again are counted, not queued again."""
    vias = None if customer_id is None else await map_queries.of_customer(session, customer_id)
    rows = await queries.listing(session, last_id(page), page.limit + 1, reason, state, vias)
    items = [ConflictShown.model_validate(dict(row)).seen_by(who) for row in rows]
    return paged(items, page, lambda item: [item.id])


@router.get("/{conflict_id}", responses=documented(404))
async def get_conflict(conflict_id: UUID, session: Read, who: Reader) -> ConflictShown:
    """A conflict with its evidence."""
    return await _shown(session, conflict_id, who)


@router.post("/{conflict_id}/approve", responses=documented(400, 404, 409))
async def approve_conflict(
    conflict_id: UUID, body: ConflictDecision, session: Write, principal: Writer
) -> ConflictShown:
    """They are one: merge today's two customers, whatever limits and earlier separations say; it can be undone."""
    await service.approve(session, conflict_id, body.reason, principal)
    return await _shown(session, conflict_id, principal)


@router.post("/{conflict_id}/dismiss", responses=documented(400, 404, 409))
async def dismiss_conflict(
    conflict_id: UUID, body: ConflictDecision, session: Write, principal: Writer
) -> ConflictShown:
    """They stay two. This is remembered, however often the same identifiers meet again."""
    await service.dismiss(session, conflict_id, body.reason, principal)
    return await _shown(session, conflict_id, principal)


async def _shown(session: ReadSession, conflict_id: UUID, who: Principal) -> ConflictShown:
    row = await queries.one(session, conflict_id)
    if row is None:
        raise NotFound(f"there is no conflict {conflict_id}", pointer="path/conflict_id")
    return ConflictShown.model_validate(dict(row)).seen_by(who)
