"""`/v1/messages`: what was sent, what was not, and why."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.campaigns.cursors import id_in
from perennial.campaigns.enrolments.listing import vias_today
from perennial.campaigns.messages import queries
from perennial.campaigns.messages.models import Message
from perennial.campaigns.messages.queries import Wanted
from perennial.campaigns.messages.schemas import MessageStory, MessageSummary, MessageView, Status
from perennial.campaigns.messages.shown import story, view
from perennial.common import audit
from perennial.common.auth import Principal, requires
from perennial.common.identity_map import customers_of
from perennial.common.problems import NotFound
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged

router = APIRouter(prefix="/v1/messages", tags=["messages"])

Reading = Annotated[Principal, Depends(requires("campaigns:read"))]
Word = Annotated[str | None, Query(max_length=64, pattern="^[a-z_]+$")]


@router.get("", responses=documented(400))
async def list_messages(
    session: Read,
    page: PageQuery,
    _: Reading,
    *,
    customer_id: UUID | None = None,
    journey_id: UUID | None = None,
    status: Status | None = None,
    reason: Word = None,
    channel: Word = None,
) -> Page[MessageView]:
    """Messages, newest first, whatever became of them."""
    wanted = Wanted(await vias_today(session, customer_id), journey_id, status, reason, channel)
    rows = await queries.listed(session, wanted, id_in(page.after), page.limit + 1)
    today = await customers_of(session, [row.via for row in rows])
    views = [MessageView.model_validate(view(row, today.get(row.via, row.via))) for row in rows]
    return paged(views, page, lambda item: [item.id])


@router.get("/summary", responses=documented())
async def summarise_messages(session: Read, _: Reading, journey_id: UUID | None = None) -> MessageSummary:
    """How many were sent, and how many were not, by reason."""
    counts = {"sent": 0, "queued": 0, "failed": 0}
    not_sent: dict[str, int] = {}
    for status, reason, count in await queries.summary(session, journey_id):
        if status in counts:
            counts[status] += count
        if status in {"not_sent", "failed"}:
            not_sent[reason or status] = not_sent.get(reason or status, 0) + count
    return MessageSummary(not_sent=dict(sorted(not_sent.items())), **counts)


@router.get("/{message_id}", responses=documented(404))
async def get_message(message_id: UUID, session: Write, principal: Reading) -> MessageStory:
    """One message with its text and address, and why it was sent or not."""
    found = await session.get(Message, message_id)
    if found is None:
        raise NotFound(f"there is no message {message_id}", pointer="path/message_id")
    await audit.record(session, principal, "message.revealed", str(message_id))
    today = await customers_of(session, [found.via])
    return MessageStory.model_validate(story(found, today.get(found.via, found.via)))
