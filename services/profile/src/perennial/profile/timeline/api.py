"""Routes of the timeline."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query

from perennial.common import identity_map
from perennial.common.db import ReadSession
from perennial.common.web import Page, PageQuery, Read, Unprocessable, documented, paged
from perennial.common.web.cursors import last_moment
from perennial.profile.params import Instant, Word, no_event, nobody
from perennial.profile.timeline import kinds, queries
from perennial.profile.timeline.kinds import EventType, Kind
from perennial.profile.timeline.schemas import Occurrence, TimelineEvent, occurrence
from perennial.profile.traits.readers import MayRead
from perennial.profile.traits.sealing import Opened

router = APIRouter(tags=["timeline"])

Since = Annotated[Instant | None, Query(alias="from", description="Not earlier than this.")]
Until = Annotated[Instant | None, Query(alias="to", description="Not later than this.")]


def _range(since: Since = None, until: Until = None) -> tuple[datetime | None, datetime | None]:
    if since and until and since > until:
        raise Unprocessable("from: must not be later than to", code="invalid_request", pointer="query/from")
    return since, until


Range = Annotated[tuple[datetime | None, datetime | None], Depends(_range)]


@router.get("/v1/customers/{id}/timeline", responses=documented(400, 404))
async def list_customer_timeline(
    id: UUID,
    session: Read,
    page: PageQuery,
    who: MayRead,
    within: Range,
    kind: Annotated[Kind | None, Query()] = None,
    name: Annotated[
        Word | None, Query(max_length=1000, description="As items bear it, such as Order Completed or message.sent.")
    ] = None,
    source: Annotated[Word | None, Query(max_length=200, description="A source, or a service.")] = None,
) -> Page[Occurrence]:
    """All that happened to a customer, newest first: events, messages, points, tickets, segments, tiers, journeys.

    An old id answers for the customer it belongs to today. What is older than its data class is kept is not here.
    """
    since, until = within
    wanted = queries.Filter(name, kinds.types_of(kind), kinds.classes_of(kind), source, since, until, last_moment(page))
    rows = await _rows(session, id, wanted, page.limit + 1)
    return paged([occurrence(row, who) for row in rows], page, lambda item: (item.at.isoformat(), item.id))


@router.get("/v1/customers/{id}/events", responses=documented(400, 404))
async def list_customer_events(
    id: UUID,
    session: Read,
    page: PageQuery,
    who: MayRead,
    within: Range,
    name: Annotated[Word | None, Query(max_length=1000, description="Canonical name, such as Order Completed.")] = None,
    type: Annotated[EventType | None, Query()] = None,
) -> Page[TimelineEvent]:
    """What a customer did, newest first; an old id answers for the customer it belongs to today."""
    since, until = within
    types = (type,) if type else kinds.TRACKED
    wanted = queries.Filter(name, types, kinds.OF_TRACKED, None, since, until, last_moment(page))
    rows = await _rows(session, id, wanted, page.limit + 1)
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


async def _rows(session: ReadSession, any_id: UUID, wanted: queries.Filter, limit: int) -> Sequence[Opened]:
    rows = await queries.of_customer(session, any_id, wanted, limit)
    if not rows and await identity_map.customer_of(session, any_id) is None:
        raise nobody(any_id)
    return rows
