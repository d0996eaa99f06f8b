"""Routes of the timeline."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query

from perennial.common import identity_map
from perennial.common.web import Page, PageQuery, Read, Unprocessable, documented, paged
from perennial.profile.params import Instant, MayRead, Word, bad_cursor, no_event, nobody
from perennial.profile.timeline import queries
from perennial.profile.timeline.schemas import TimelineEvent

router = APIRouter(tags=["timeline"])

EventType = Literal["identify", "track", "page", "screen", "group", "alias"]


@router.get("/v1/customers/{id}/events", responses=documented(400, 404))
async def list_customer_events(
    id: UUID,
    session: Read,
    page: PageQuery,
    who: MayRead,
    name: Annotated[Word | None, Query(max_length=1000, description="Canonical name, such as Order Completed.")] = None,
    type: Annotated[EventType | None, Query()] = None,
    since: Annotated[Instant | None, Query(alias="from", description="Not earlier than this.")] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Not later than this.")] = None,
) -> Page[TimelineEvent]:
    """What a customer did, newest first; an old id answers for the customer it belongs to today."""
    if since and until and since > until:
        raise Unprocessable("from: must not be later than to", code="invalid_request", pointer="query/from")
    wanted = queries.Filter(name, type, since, until, _after(page.after))
    rows = await queries.of_customer(session, id, wanted, page.limit + 1)
    if not rows and await identity_map.customer_of(session, id) is None:
        raise nobody(id)
    events = [TimelineEvent.model_validate(row).seen_by(who) for row in rows]
    return paged(events, page, lambda event: (event.timestamp.isoformat(), event.id))


@router.get("/v1/events/{message_id:path}", responses=documented(404))
async def get_event(
    message_id: Annotated[Word, Path(max_length=100)],
    session: Read,
    who: MayRead,
    source: Annotated[Word | None, Query(max_length=200, description="When several sources use the same id.")] = None,
) -> TimelineEvent:
    """The event that was sent with this message id."""
    row = await queries.by_message(session, message_id, source)
    if row is None:
        raise no_event(message_id)
    return TimelineEvent.model_validate(row).seen_by(who)


def _after(cursor: list[object]) -> tuple[datetime, UUID] | None:
    if not cursor:
        return None
    try:
        at, last_id = cursor
        instant = datetime.fromisoformat(str(at))
        if instant.tzinfo is None:
            raise bad_cursor()
        return instant, UUID(str(last_id))
    except ValueError as error:
        raise bad_cursor() from error
