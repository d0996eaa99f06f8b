"""Messages as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update

from perennial.campaigns.messages.models import Message
from perennial.common.db import ReadSession, WriteSession

_AT_STEPS = text("""
    SELECT m.enrolment_id, m.id, m.status, m.reason, m.approved_at IS NOT NULL AS approved, m.attempts
    FROM unnest(CAST(:enrolments AS uuid[]), CAST(:steps AS text[])) AS wanted(enrolment_id, step)
    JOIN message AS m ON m.enrolment_id = wanted.enrolment_id AND m.step = wanted.step""")
# In a message's life no moment escapes the cap: approved ones count before they are sent.
_COUNTS = text("""
    SELECT i.customer_id, m.channel, count(*)
    FROM identity_map AS i JOIN message AS m ON m.via = i.via JOIN channel AS c ON c.name = m.channel
    WHERE i.customer_id = ANY(CAST(:customers AS uuid[])) AND m.purpose = 'marketing'
      AND (m.status = 'sent' AND m.settled_at > CAST(:now AS timestamptz) - c.cap_window
           OR m.status = 'queued' AND m.approved_at IS NOT NULL)
    GROUP BY i.customer_id, m.channel""")
_WITHDRAW = text("""
    UPDATE message SET status = 'not_sent', reason = 'exited', approved_at = NULL, settled_at = :now
    WHERE enrolment_id = ANY(CAST(:enrolments AS uuid[])) AND status = 'queued' AND leased_until IS NULL
    RETURNING id, journey_id, step, channel, via, customer_id""")
_BY_CUSTOMER = text("""
    SELECT i.customer_id, m.status, count(*) FROM identity_map AS i JOIN message AS m ON m.via = i.via
    WHERE i.customer_id = ANY(CAST(:customers AS uuid[])) GROUP BY i.customer_id, m.status ORDER BY m.status""")
_SUMMARY = text("""
    SELECT status, reason, count(*) FROM message
    WHERE CAST(:journey AS uuid) IS NULL OR journey_id = :journey GROUP BY status, reason""")


@dataclass(frozen=True)
class AtStep:
    """What became so far of the message of an enrolment's step."""

    id: UUID
    status: str
    reason: str | None
    approved: bool
    attempts: int


async def at_steps(session: ReadSession, steps: Sequence[tuple[UUID, str]]) -> dict[UUID, AtStep]:
    """The messages of these steps by enrolment, where there are any."""
    wanted = {"enrolments": [enrolment for enrolment, _ in steps], "steps": [step for _, step in steps]}
    return {row[0]: AtStep(*row[1:]) for row in await session.execute(_AT_STEPS, wanted)}


async def counts(session: ReadSession, customers: Sequence[UUID], now: datetime) -> dict[tuple[UUID, str], int]:
    """Marketing messages per customer and channel within the channel's window; those about to be sent included."""
    rows = await session.execute(_COUNTS, {"customers": list(customers), "now": now})
    return {(customer, channel): count for customer, channel, count in rows}


async def by_customer(session: ReadSession, customers: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """How many messages each customer has, by status."""
    found: dict[UUID, dict[str, int]] = {}
    for customer, status, count in await session.execute(_BY_CUSTOMER, {"customers": list(customers)}):
        found.setdefault(customer, {})[status] = count
    return found


async def add(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert messages; every row has the same keys."""
    if rows:
        await session.execute(insert(Message), list(rows))


async def change(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    """Change messages by their `id`; every row has the same keys."""
    if rows:
        await session.execute(update(Message), list(rows))


async def withdraw(session: WriteSession, enrolments: Sequence[UUID], now: datetime) -> list[Any]:
    """Give up what was not yet in a sender's hands; returns what that was."""
    return list((await session.execute(_WITHDRAW, {"enrolments": list(enrolments), "now": now})).all())


async def summary(session: ReadSession, journey: UUID | None) -> list[tuple[str, str | None, int]]:
    """Counts by status and reason."""
    return [(row[0], row[1], row[2]) for row in await session.execute(_SUMMARY, {"journey": journey})]


@dataclass(frozen=True)
class Wanted:
    """Filters of a list."""

    vias: Sequence[UUID] | None = None
    journey_id: UUID | None = None
    status: str | None = None
    reason: str | None = None
    channel: str | None = None


async def listed(session: ReadSession, wanted: Wanted, before: UUID | None, limit: int) -> list[Message]:
    """Messages, newest first."""
    query = select(Message).order_by(Message.id.desc()).limit(limit)
    for column, value in (
        (Message.journey_id, wanted.journey_id),
        (Message.status, wanted.status),
        (Message.reason, wanted.reason),
        (Message.channel, wanted.channel),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.vias is not None:
        query = query.where(Message.via.in_(wanted.vias))
    if before is not None:
        query = query.where(Message.id < before)
    return list(await session.scalars(query))


async def of_enrolment(session: ReadSession, enrolment: UUID) -> list[Message]:
    """The messages of one walk, oldest first."""
    return list(await session.scalars(select(Message).where(Message.enrolment_id == enrolment).order_by(Message.id)))
