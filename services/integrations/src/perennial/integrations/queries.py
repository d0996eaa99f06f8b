"""The SQL of integrations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

LEASE_SECONDS = 60
IN_FLIGHT_PER_ENDPOINT = 4


async def endpoints(session: ReadSession) -> Sequence[Row[Any]]:
    """Every endpoint that is not disabled: id, event types."""
    rows = await session.execute(text("SELECT id, event_types FROM webhook WHERE NOT disabled"))
    return rows.all()


async def page_of_endpoints(session: ReadSession, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """Endpoints by id, the oldest first."""
    rows = await session.execute(
        text("SELECT * FROM webhook WHERE CAST(:after AS uuid) IS NULL OR id > :after ORDER BY id LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return rows.all()


async def add_messages(session: WriteSession, messages: Sequence[dict[str, Any]]) -> None:
    """Store messages once, whoever gets them."""
    await session.execute(
        text("""INSERT INTO message (id, type, body, personal_body)
                SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:bodies AS bytea[]),
                                     CAST(:personal AS bytea[])) ON CONFLICT DO NOTHING"""),
        {
            "ids": [message["id"] for message in messages],
            "types": [message["type"] for message in messages],
            "bodies": [message["body"] for message in messages],
            "personal": [message["personal_body"] for message in messages],
        },
    )


async def add_deliveries(session: WriteSession, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    """Queue messages for endpoints, due now; what is queued already stays as it is."""
    await session.execute(
        text("""INSERT INTO delivery (webhook_id, message_id, state, attempts)
                SELECT w, m, 'pending', 0 FROM unnest(CAST(:webhooks AS uuid[]), CAST(:messages AS uuid[])) AS p (w, m)
                ON CONFLICT DO NOTHING"""),
        {"webhooks": [pair[0] for pair in pairs], "messages": [pair[1] for pair in pairs]},
    )


async def claim(session: WriteSession, limit: int) -> Sequence[Row[Any]]:
    """Take due deliveries for a lease: a process that dies with them gives them back when it runs out.

    At most a few per endpoint, so that a slow one cannot take all the room, and who was last served longest ago first;
    paused endpoints are passed over.
    """
    rows = await session.execute(
        text("""
        WITH served AS MATERIALIZED (
            SELECT w.id, (SELECT max(a.id) FROM attempt a WHERE a.webhook_id = w.id) AS last FROM webhook w
            WHERE NOT w.disabled AND (w.paused_until IS NULL OR w.paused_until <= now())
              AND EXISTS (SELECT FROM delivery d
                          WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_at <= now())
            ORDER BY last NULLS FIRST, w.id LIMIT :limit),
        due AS (
            SELECT d.webhook_id, d.message_id FROM served s CROSS JOIN LATERAL (
                SELECT webhook_id, message_id, next_at FROM delivery
                WHERE webhook_id = s.id AND state = 'pending' AND next_at <= now()
                ORDER BY next_at LIMIT :each FOR UPDATE SKIP LOCKED) d
            ORDER BY s.last NULLS FIRST, s.id, d.next_at LIMIT :limit)
        UPDATE delivery d SET next_at = now() + make_interval(secs => :lease)
        FROM due JOIN webhook w ON w.id = due.webhook_id JOIN message m ON m.id = due.message_id
        WHERE d.webhook_id = due.webhook_id AND d.message_id = due.message_id
        RETURNING d.webhook_id, d.message_id, d.attempts, d.next_at AS lease, w.url, w.fields AS wanted, d.fields,
                  d.body AS sent, m.body, m.personal_body"""),
        {"limit": limit, "each": IN_FLIGHT_PER_ENDPOINT, "lease": LEASE_SECONDS},
    )
    return rows.all()


async def freeze(session: WriteSession, sendings: Sequence[dict[str, Any]]) -> None:
    """Keep the bytes of deliveries, and the allow-lists under which they are sent."""
    if sendings:
        await session.execute(
            text("""UPDATE delivery SET fields = CAST(:fields AS text[]), body = :body
                    WHERE webhook_id = :webhook_id AND message_id = :message_id"""),
            list(sendings),
        )


async def secrets_of(session: ReadSession, webhooks: Sequence[UUID]) -> dict[UUID, list[bytes]]:
    """The live sealed secrets of endpoints, the newest first."""
    rows = await session.execute(
        text("""SELECT webhook_id, sealed FROM webhook_secret
                WHERE webhook_id = ANY(:ids) AND (expires_at IS NULL OR expires_at > now()) ORDER BY id DESC"""),
        {"ids": list(set(webhooks))},
    )
    found: dict[UUID, list[bytes]] = {}
    for webhook, sealed in rows:
        found.setdefault(webhook, []).append(sealed)
    return found


async def add_attempts(session: WriteSession, attempts: Sequence[dict[str, Any]]) -> None:
    """Log attempts."""
    await session.execute(
        text("""INSERT INTO attempt (webhook_id, message_id, status, error, latency_ms, response, fields)
                VALUES (:webhook_id, :message_id, :status, :error, :latency_ms, :response, CAST(:fields AS text[]))"""),
        list(attempts),
    )


async def settle(session: WriteSession, settled: Sequence[dict[str, Any]]) -> None:
    """Write what became of deliveries, unless they were queued or taken anew since: then that attempt counts."""
    await session.execute(
        text("""UPDATE delivery SET state = :state, attempts = attempts + 1, next_at = :next_at
                WHERE webhook_id = :webhook_id AND message_id = :message_id AND next_at = :lease"""),
        list(settled),
    )


async def next_due(session: ReadSession) -> datetime | None:
    """When the next delivery is due that no pause holds back."""
    rows = await session.execute(
        text("""SELECT min(greatest(d.next_at, w.paused_until)) FROM delivery d JOIN webhook w ON w.id = d.webhook_id
                WHERE d.state = 'pending' AND NOT w.disabled""")
    )
    found: datetime | None = rows.scalar_one()
    return found


async def requeue(session: WriteSession, webhook: UUID, *, message: UUID | None, since: datetime | None) -> int:
    """Queue again one message, or all that did not arrive since an instant; returns how many."""
    rows = await session.execute(
        text("""UPDATE delivery d SET state = 'pending', attempts = 0, next_at = now() FROM message m
                WHERE m.id = d.message_id AND d.webhook_id = :webhook
                  AND (CAST(:message AS uuid) IS NULL OR d.message_id = :message)
                  AND (CAST(:since AS timestamptz) IS NULL OR (m.created_at >= :since AND d.state <> 'delivered'))
                RETURNING d.message_id"""),
        {"webhook": webhook, "message": message, "since": since},
    )
    return len(rows.all())


async def attempts(session: ReadSession, webhook: UUID, before: int | None, limit: int) -> list[dict[str, Any]]:
    """An endpoint's attempts, the newest first."""
    rows = await session.execute(
        text("""SELECT * FROM attempt WHERE webhook_id = :webhook AND (CAST(:before AS bigint) IS NULL OR id < :before)
                ORDER BY id DESC LIMIT :limit"""),
        {"webhook": webhook, "before": before, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


async def messages(session: ReadSession, webhook: UUID, before: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """An endpoint's messages, the newest first."""
    rows = await session.execute(
        text("""SELECT m.id, m.type, m.body, m.personal_body, m.created_at, d.state, d.attempts, d.next_at,
                       coalesce(d.fields, w.fields) AS fields
                FROM delivery d JOIN message m ON m.id = d.message_id JOIN webhook w ON w.id = d.webhook_id
                WHERE d.webhook_id = :webhook AND (CAST(:before AS uuid) IS NULL OR m.id < :before)
                ORDER BY m.id DESC LIMIT :limit"""),
        {"webhook": webhook, "before": before, "limit": limit},
    )
    return rows.all()


async def forget(session: WriteSession, days: int) -> None:
    """Drop messages, their deliveries and attempts after so many days."""
    for table, column in (("message", "created_at"), ("attempt", "at")):
        await session.execute(
            text(f"DELETE FROM {table} WHERE {column} < now() - make_interval(days => :days)"),  # noqa: S608 (ours)
            {"days": days},
        )
