"""`/v1/identity/parked`: events that could not be decided, and deciding them after the fix."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from perennial.common import masks
from perennial.common.auth import Principal, requires
from perennial.common.ids import digest_uuid
from perennial.common.problems import NotFound, documented
from perennial.common.web import Page, PageQuery, Read, paged
from perennial.common.web.cursors import last_number
from perennial.common.web.deps import runtime_of
from perennial.identity.parked import rows
from perennial.identity.replays import service
from perennial.identity.replays.schemas import Lookup, ParkedEvent, ParkedShown, Refusal, ReplayDone, ReplayWanted
from perennial.identity.settings import vault_of

router = APIRouter(prefix="/v1/identity/parked", tags=["identity"])

Reader = Annotated[Principal, Depends(requires("identities:read"))]
Seer = Annotated[Principal, Depends(requires("customers:read"))]
Writer = Annotated[Principal, Depends(requires("identities:write"))]


@router.get("", responses=documented(400))
async def list_parked(page: PageQuery, session: Read, request: Request, who: Reader) -> Page[ParkedShown]:
    """Events that wait for a fix, oldest first."""
    found = await rows.listing(session, vault_of(request.app.state.settings), last_number(page) or 0, page.limit + 1)
    items = [
        ParkedShown(id=row.id, subject=row.subject, event_id=row.event_id, error=row.error, parked_at=row.parked_at,
                    body=row.body).seen_by(who)
        for row in found
    ]  # fmt: skip
    return paged(items, page, lambda item: [item.id])


@router.post("/lookup", include_in_schema=False)
async def look_up(body: Lookup, session: Read, request: Request, who: Seer) -> ParkedEvent:
    """The parked event with that message id; the gateway asks, for `GET /v1/events/{message_id}`."""
    ids = [digest_uuid(source, body.message_id) for source in body.sources]
    row = await rows.by_event(session, vault_of(request.app.state.settings), ids)
    if row is None:
        raise NotFound("message_id: no event with this id is parked", pointer="/message_id")
    return ParkedEvent.of(row).seen_by(who)


@router.post("/replay", responses=documented(400))
async def replay_parked(body: ReplayWanted, request: Request, principal: Writer) -> ReplayDone:
    """Decide and publish them now; what fails again stays, with the reason."""
    done, failed = await service.replay(runtime_of(request), body.ids, principal)
    return ReplayDone(
        replayed=done, failed=[Refusal(id=one, error=masks.error(principal, said)) for one, said in failed.items()]
    )
