"""Erasures in SQL."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from perennial.common.db import ReadSession, WriteSession

_SHOWN = """id, customer_id, state, reason, held_until, hold_reason, requested_by, requested_at, decided_by, decided_at,
            refusal, completed_at, asked_at,
            ARRAY(SELECT service FROM erasure_receipt WHERE erasure_id = erasure_request.id) AS answered"""
# As long again as it has taken so far, so that a service that is away for days is not asked all the time.
_SILENT = text("""
    UPDATE erasure_request SET asked_at = now()
    WHERE id IN (SELECT id FROM erasure_request
                 WHERE state = 'running' AND now() - coalesce(asked_at, decided_at, requested_at) >= least(
                     greatest(CAST(:patience AS interval), asked_at - coalesce(decided_at, requested_at)),
                     interval '1 day')
                 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
    RETURNING id, customer_id""")
_ADD = text("""
    INSERT INTO erasure_request (id, customer_id, state, reason, held_until, hold_reason, requested_by, decided_by,
                                 decided_at)
    VALUES (:id, :customer, :state, :reason, :held_until, :hold_reason, :who, :decider,
            CASE WHEN :state = 'running' THEN now() END)
    ON CONFLICT (customer_id) WHERE state IN ('waiting', 'held', 'running') DO NOTHING""")
_ONE = text(f"SELECT {_SHOWN} FROM erasure_request WHERE id = :id")  # noqa: S608 (our own column names)
_LOCK = text(f"SELECT {_SHOWN} FROM erasure_request WHERE id = :id FOR UPDATE")  # noqa: S608
# A request names whom somebody asked for, by an id that follows the person through merges and splits.
_OPEN = text(f"""
    SELECT {_SHOWN} FROM erasure_request
    WHERE customer_id IN (SELECT via FROM identity_map WHERE customer_id = :customer)
      AND state IN ('waiting', 'held', 'running')
    ORDER BY id LIMIT 1""")  # noqa: S608
_ELSE_HELD = """
    SELECT FROM identity_map AS own JOIN identity_map AS same USING (customer_id)
    JOIN erasure_request AS o ON o.customer_id = same.via
    WHERE own.via = r.customer_id AND o.id <> r.id AND o.state = 'held' AND o.held_until > :now"""
_HELD_ELSEWHERE = text(f"SELECT EXISTS ({_ELSE_HELD}) FROM erasure_request AS r WHERE r.id = :id")  # noqa: S608
_LIST = text(f"""
    SELECT {_SHOWN} FROM erasure_request
    WHERE (CAST(:before AS uuid) IS NULL OR id < :before) AND (CAST(:state AS text) IS NULL OR state = :state)
    ORDER BY id DESC LIMIT :limit""")  # noqa: S608
_DECIDE = text("""
    UPDATE erasure_request SET state = :state, refusal = :refusal, decided_by = :who, decided_at = now()
    WHERE id = :id""")
_DUE = text(f"""
    SELECT id FROM erasure_request AS r WHERE state = 'held' AND held_until <= :now AND NOT EXISTS ({_ELSE_HELD})
    ORDER BY held_until LIMIT 100 FOR UPDATE OF r SKIP LOCKED""")  # noqa: S608
_RECEIPT = text("""
    INSERT INTO erasure_receipt (erasure_id, service, at, tables)
    SELECT :id, :service, :at, CAST(:tables AS jsonb) WHERE EXISTS (SELECT FROM erasure_request WHERE id = :id)
    ON CONFLICT DO NOTHING""")
_RECEIPTS = text("SELECT service, at, tables FROM erasure_receipt WHERE erasure_id = :id ORDER BY service")
_COMPLETE = text("""
    UPDATE erasure_request SET state = 'completed', completed_at = now() WHERE id = :id AND state = 'running'
        AND CAST(:services AS text[]) <@ ARRAY(SELECT service FROM erasure_receipt WHERE erasure_id = :id)""")


async def add(session: WriteSession, values: dict[str, Any]) -> bool:
    """Write a request; False when one of the customer is open."""
    return bool((await session.execute(_ADD, values)).rowcount)  # type: ignore[attr-defined]


async def one(session: ReadSession, erasure_id: UUID) -> RowMapping | None:
    """A request."""
    return (await session.execute(_ONE, {"id": erasure_id})).mappings().one_or_none()


async def held(session: WriteSession, erasure_id: UUID) -> RowMapping | None:
    """A request that nobody else decides meanwhile."""
    return (await session.execute(_LOCK, {"id": erasure_id})).mappings().one_or_none()


async def open_of(session: ReadSession, customer: UUID) -> RowMapping | None:
    """The request of a customer that is not over."""
    return (await session.execute(_OPEN, {"customer": customer})).mappings().one_or_none()


async def held_elsewhere(session: WriteSession, erasure_id: UUID, now: datetime) -> bool:
    """Whether another request for who is the same person today is under a legal hold."""
    return bool((await session.execute(_HELD_ELSEWHERE, {"id": erasure_id, "now": now})).scalar_one())


async def listing(session: ReadSession, before: UUID | None, state: str | None, limit: int) -> Sequence[RowMapping]:
    """Requests, newest first."""
    bound = {"before": before, "state": state, "limit": limit}
    return (await session.execute(_LIST, bound)).mappings().all()


async def decide(session: WriteSession, erasure_id: UUID, state: str, who: str, refusal: str | None = None) -> None:
    """Let it begin, or end it."""
    await session.execute(_DECIDE, {"id": erasure_id, "state": state, "who": who, "refusal": refusal})


async def due(session: WriteSession, now: datetime) -> list[UUID]:
    """Requests whose hold is over."""
    return list((await session.execute(_DUE, {"now": now})).scalars())


async def silent(session: WriteSession, patience: timedelta) -> Sequence[RowMapping]:
    """Erasures for whose receipts somebody has waited too long; they count as asked for again."""
    return (await session.execute(_SILENT, {"patience": patience})).mappings().all()


async def receive(
    session: WriteSession, erasure_id: UUID, service: str, at: datetime, tables: Sequence[dict[str, Any]]
) -> None:
    """Keep a receipt; the first one of a service counts."""
    bound = {"id": erasure_id, "service": service, "at": at, "tables": json.dumps(list(tables))}
    await session.execute(_RECEIPT, bound)


async def receipts(session: ReadSession, erasure_id: UUID) -> Sequence[RowMapping]:
    """What services have answered."""
    return (await session.execute(_RECEIPTS, {"id": erasure_id})).mappings().all()


async def complete(session: WriteSession, erasure_id: UUID, services: Sequence[str]) -> bool:
    """End the request when all have answered."""
    bound = {"id": erasure_id, "services": list(services)}
    return bool((await session.execute(_COMPLETE, bound)).rowcount)  # type: ignore[attr-defined]
