"""`/v1/messages`: what was sent, what was not, and why."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from perennial.campaigns.customers import vias_today
from perennial.campaigns.messages import queries, texts
from perennial.campaigns.messages.models import Message
from perennial.campaigns.messages.queries import Wanted
from perennial.campaigns.messages.schemas import MessageStory, MessageSummary, MessageView, Status
from perennial.campaigns.messages.shown import story, view
from perennial.common import audit, masks
from perennial.common.auth import Principal, requires
from perennial.common.db import ReadSession
from perennial.common.identity_map import customers_of
from perennial.common.problems import NotFound
from perennial.common.web import Page, PageQuery, Read, Write, documented, paged
from perennial.common.web.cursors import last_id
from perennial.common.web.reveal import Why, reveals

router = APIRouter(prefix="/v1/messages", tags=["messages"])

Reading = Annotated[Principal, Depends(requires("campaigns:read"))]
Revealer = Annotated[Principal, Depends(reveals("campaigns:read"))]
Word = Annotated[str | None, Query(max_length=64, pattern="^[a-z_]+$")]


@router.get("", responses=documented(400))
async def list_messages(
    session: Read,
    page: PageQuery,
    who: Reading,
    *,
    customer_id: UUID | None = None,
    journey_id: UUID | None = None,
    status: Status | None = None,
    reason: Word = None,
    channel: Word = None,
) -> Page[MessageView]:
    """Messages, newest first, whatever became of them."""
    wanted = Wanted(await vias_today(session, customer_id), journey_id, status, reason, channel)
    rows = await queries.listed(session, wanted, last_id(page), page.limit + 1)
    today = await customers_of(session, [row.via for row in rows])
    made_of = await texts.made_of(session, rows)
    views = [MessageView.model_validate(view(who, row, today.get(row.via, row.via), made_of[row.id])) for row in rows]
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
async def get_message(message_id: UUID, session: Read, who: Reading) -> MessageStory:
    """One message, and why it was sent or not; masked."""
    return await _story(session, who, message_id)


@router.post("/{message_id}/reveal", responses=documented(404))
async def reveal_message(message_id: UUID, body: Why, session: Write, who: Revealer) -> MessageStory:
    """One message with its text and address in clear; who asked and why stays in the audit trail."""
    shown = await _story(session, replace(who, fields=frozenset({masks.EVERYTHING})), message_id)
    await audit.record(session, who, "message.revealed", str(message_id), {"reason": body.reason})
    return shown


async def _story(session: ReadSession, who: Principal, message_id: UUID) -> MessageStory:
    found = await session.get(Message, message_id)
    if found is None:
        raise NotFound(f"there is no message {message_id}", pointer="path/message_id")
    today = await customers_of(session, [found.via])
    made_of = (await texts.made_of(session, [found]))[found.id]
    return MessageStory.model_validate(story(who, found, today.get(found.via, found.via), made_of))
