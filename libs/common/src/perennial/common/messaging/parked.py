"""Events that cannot be handled wait here, seen by operators, until they are replayed."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

log = structlog.get_logger()
counted = metrics.get_meter("perennial").create_counter("perennial.events.parked", description="Events parked.")


@dataclass(frozen=True)
class Origin:
    """Where an event came from: enough to decode it again. `body` holds this one event only."""

    stream: str
    subject: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Parked:
    """An event, and why it could not be handled."""

    origin: Origin
    event_id: UUID | None
    error: str
    trace: str


def origin_of(message: Msg, body: bytes | None = None) -> Origin:
    """The origin of a message, or of one event cut out of it."""
    return Origin(
        message.metadata.stream, message.subject, dict(message.headers or {}), message.data if body is None else body
    )


async def park(session: WriteSession, failed: Sequence[Parked]) -> None:
    """Put events aside in the transaction of their neighbours."""
    if not failed:
        return
    await session.execute(
        text("""INSERT INTO parked (stream, subject, event_id, headers, body, error, trace)
                VALUES (:stream, :subject, :event_id, CAST(:headers AS jsonb), :body, :error, :trace)"""),
        [
            {
                "stream": item.origin.stream,
                "subject": item.origin.subject,
                "event_id": item.event_id,
                "headers": json.dumps(item.origin.headers),
                "body": item.origin.body,
                "error": item.error[:2000].replace("\x00", ""),
                "trace": item.trace[-8000:].replace("\x00", ""),
            }
            for item in failed
        ],
    )
    counted.add(len(failed))
    for item in failed:
        log.error(
            "event.parked", subject=item.origin.subject, event_id=str(item.event_id), error=item.error.partition("(")[0]
        )


@dataclass(frozen=True)
class ParkedRow:
    """A parked event as operators see it; the body is base64."""

    id: int
    subject: str
    event_id: UUID | None
    error: str
    parked_at: datetime
    replayed_at: datetime | None
    body: str


async def listing(session: ReadSession, after: int = 0, limit: int = 50) -> list[ParkedRow]:
    """Parked events not yet replayed, oldest first."""
    rows = await session.execute(
        text("""SELECT id, subject, event_id, error, parked_at, replayed_at, body FROM parked
                WHERE replayed_at IS NULL AND id > :after ORDER BY id LIMIT :limit"""),
        {"after": after, "limit": limit},
    )
    return [
        ParkedRow(
            id=row.id,
            subject=row.subject,
            event_id=row.event_id,
            error=row.error,
            parked_at=row.parked_at,
            replayed_at=row.replayed_at,
            body=base64.b64encode(row.body).decode(),
        )
        for row in rows
    ]


async def take(session: WriteSession, ids: Sequence[int]) -> list[tuple[int, Origin]]:
    """Lock parked events for a replay."""
    rows: Any = await session.execute(
        text("""SELECT id, stream, subject, headers, body FROM parked
                WHERE id = ANY(:ids) AND replayed_at IS NULL ORDER BY id FOR UPDATE"""),
        {"ids": list(ids)},
    )
    return [(row[0], Origin(row[1], row[2], row[3], row[4])) for row in rows]


async def mark_replayed(session: WriteSession, parked_id: int) -> None:
    """Note that a parked event was handled at last."""
    await session.execute(text("UPDATE parked SET replayed_at = now() WHERE id = :id"), {"id": parked_id})
