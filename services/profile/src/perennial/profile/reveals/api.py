"""Routes that show what is masked."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from perennial.common.auth import Principal
from perennial.common.web import Write, documented
from perennial.common.web.reveal import Why, reveals
from perennial.profile.params import Word
from perennial.profile.reveals import service
from perennial.profile.reveals.schemas import TraitsRevealed, TraitsWanted
from perennial.profile.timeline.schemas import TimelineEvent

router = APIRouter(tags=["reveals"])

Revealer = Annotated[Principal, Depends(reveals("customers:read"))]


@router.post("/v1/customers/{id}/reveal", responses=documented(400, 404))
async def reveal_customer(
    id: UUID, body: TraitsWanted, response: Response, session: Write, who: Revealer
) -> TraitsRevealed:
    """Traits of a customer in clear; who asked, which ones and why stay in the audit trail."""
    response.headers["Cache-Control"] = "no-store"
    customer, traits = await service.traits(session, who, id, body.fields, body.reason)
    return TraitsRevealed(id=customer, traits=traits)


@router.post("/v1/events/{message_id:path}/reveal", responses=documented(400, 404))
async def reveal_event(
    message_id: Annotated[Word, Path(max_length=100)],
    body: Why,
    response: Response,
    session: Write,
    who: Revealer,
    source: Annotated[Word | None, Query(max_length=200, description="When several sources use the same id.")] = None,
) -> TimelineEvent:
    """An event in clear, as it was sent; who asked and why stay in the audit trail."""
    response.headers["Cache-Control"] = "no-store"
    row = await service.event(session, who, message_id, source, body.reason)
    return TimelineEvent.model_validate(row)
