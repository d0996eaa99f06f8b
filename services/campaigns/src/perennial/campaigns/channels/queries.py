"""Channels, and what their senders take, as SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from perennial.campaigns.channels.models import Channel
from perennial.campaigns.channels.outgoing import Outgoing
from perennial.common.db import ReadSession, WriteSession

_BACK = text("""
    WITH stale AS (
        SELECT id FROM message WHERE channel = :channel AND status = 'queued' AND approved_at IS NOT NULL
          AND coalesce(leased_until, approved_at + CAST(:fresh AS interval)) < :now LIMIT 200 FOR UPDATE SKIP LOCKED)
    UPDATE message AS m SET approved_at = NULL, leased_until = NULL FROM stale
    WHERE m.id = stale.id RETURNING m.enrolment_id, m.via""")
_TAKE = text("""
    WITH ready AS (
        SELECT m.id FROM message AS m JOIN journey AS j ON j.id = m.journey_id AND j.state = 'published'
        WHERE m.channel = :channel AND m.status = 'queued' AND m.approved_at > :since AND m.leased_until IS NULL
        ORDER BY m.approved_at LIMIT :n FOR UPDATE OF m SKIP LOCKED)
    UPDATE message AS m SET leased_until = :until, attempts = attempts + 1 FROM ready, channel AS c
    WHERE m.id = ready.id AND c.name = m.channel
    RETURNING m.id, m.enrolment_id, m.journey_id, m.step, m.channel, m.via, m.customer_id, m.attempts, m.created_at,
              m.address, m.subject, m.body, m.format, c.sender, c.unsubscribe""")
_SETTLE = text("""
    UPDATE message AS m SET status = x.status, reason = x.reason, provider_id = x.provider_id, approved_at = NULL,
        leased_until = NULL, settled_at = CASE WHEN x.status = 'queued' THEN NULL ELSE CAST(:now AS timestamptz) END,
        detail = CASE WHEN x.error IS NULL THEN m.detail ELSE jsonb_build_object('error', x.error) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]), CAST(:provided AS text[]),
                CAST(:errors AS text[])) AS x(id, status, reason, provider_id, error)
    WHERE m.id = x.id AND m.status = 'queued' RETURNING m.id""")


async def channels(session: ReadSession) -> dict[str, Channel]:
    """Every channel by name."""
    return {channel.name: channel for channel in await session.scalars(select(Channel).order_by(Channel.name))}


async def channel(session: ReadSession, name: str, *, lock: bool = False) -> Channel | None:
    """One channel, locked for a change if wanted."""
    return await session.get(Channel, name, with_for_update=lock)


async def ensure(session: WriteSession, names: Sequence[str], sender: str, cap: int) -> None:
    """Make the channels that are missing."""
    rows = [
        {"name": name, "sender": sender, "cap": cap, "cap_window": timedelta(days=1), "version": 1} for name in names
    ]
    await session.execute(insert(Channel).on_conflict_do_nothing(), rows)


async def give_back(session: WriteSession, channel: str, fresh: timedelta, now: datetime) -> list[tuple[UUID, UUID]]:
    """Take back approvals that nobody used in time, and leases that ran out; returns enrolments with their via."""
    rows = await session.execute(_BACK, {"channel": channel, "fresh": fresh, "now": now})
    return [(row[0], row[1]) for row in rows]


async def take(session: WriteSession, channel: str, since: datetime, until: datetime, n: int) -> list[Outgoing]:
    """Lease messages approved after `since` until an instant, oldest approval first."""
    values = {"channel": channel, "since": since, "until": until, "n": n}
    return [Outgoing(*row) for row in await session.execute(_TAKE, values)]


async def settle(session: WriteSession, rows: Sequence[Mapping[str, Any]], now: datetime) -> set[UUID]:
    """Write what became of messages; returns those that were still to be settled."""
    values: dict[str, Any] = {
        "ids": [row["id"] for row in rows],
        "statuses": [row["status"] for row in rows],
        "reasons": [row["reason"] for row in rows],
        "provided": [row["provider_id"] for row in rows],
        "errors": [row["error"] for row in rows],
        "now": now,
    }
    return set((await session.execute(_SETTLE, values)).scalars())
