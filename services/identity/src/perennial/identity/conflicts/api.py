"""`GET /v1/conflicts`: what could not be joined, for a person to look at."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from perennial.common.auth import Principal, requires
from perennial.common.problems import documented
from perennial.common.web import Page, PageQuery, Read, paged
from perennial.identity.conflicts import queries
from perennial.identity.conflicts.schemas import ConflictShown
from perennial.identity.pages import last_id

router = APIRouter(prefix="/v1/conflicts", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]


@router.get("", responses=documented(400))
async def list_conflicts(
    page: PageQuery,
    session: Read,
    who: Reader,
    reason: Annotated[Literal["two_user_ids", "limit", "separated"] | None, Query()] = None,
) -> Page[ConflictShown]:
    """Conflicts, newest first; the same identifiers in conflict again are counted, not queued again."""
    rows = await queries.listing(session, last_id(page), page.limit + 1, reason)
    items = [ConflictShown.model_validate(dict(row)).seen_by(who) for row in rows]
    return paged(items, page, lambda item: [item.id])
