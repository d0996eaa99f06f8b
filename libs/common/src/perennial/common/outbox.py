"""Publishing: `emit` writes a row beside the change, one relay per service sends it."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import backlog, notify, streams
from perennial.common.contracts.base import Event
from perennial.common.db import WriteSession
from perennial.common.db.arrays import array
from perennial.common.db.locks import lock_key
from perennial.common.events import Encoder
from perennial.common.failures import is_infrastructure
from perennial.common.runtime import Runtime

log = structlog.get_logger()
meter = metrics.get_meter("perennial")
published = meter.create_counter("perennial.outbox.published", description="Facts published.")

BATCH = 500
IDLE_SECONDS = 30.0
MEASURE_SECONDS = 5.0
STREAM_FULL = 10077
PACE_SECONDS = 0.03  # between rounds that found little: what is committed meanwhile shares the next one
KEEP = timedelta(days=1)

HELD = "held"
"""In a session's `info`: events that wait for the statement which ends the work (see `holding`)."""

INSERT = """
    INSERT INTO outbox (event_id, subject, headers, body)
    SELECT id, subject, CAST(headers AS jsonb), body
    FROM unnest(CAST(CAST(:ids AS text) AS uuid[]), CAST(:subjects AS text[]), CAST(:headers AS text[]),
                CAST(:bodies AS bytea[])) AS said (id, subject, headers, body)"""
_INSERT = text(INSERT)
_TAKE = "SELECT id, subject, headers, body, created_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1"
_MARK = "UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])"


async def emit(session: WriteSession, *events: Event) -> None:
    """Say something to the other services: published after this transaction commits, never if it does not."""
    if not events:
        return
    held: list[Event] | None = session.info.get(HELD)
    if held is not None and not session.in_nested_transaction():
        held.extend(events)
    else:
        await session.execute(_INSERT, rows_of(events))
    await notify.notify(session, notify.OUTBOX)


@contextlib.contextmanager
def holding(session: WriteSession) -> Iterator[list[Event]]:
    """What is emitted meanwhile: whoever asks for it writes it (`INSERT`), together with what else ends the work."""
    held: list[Event] = []
    session.info[HELD] = held
    try:
        yield held
    finally:
        session.info.pop(HELD, None)


def rows_of(events: Sequence[Event]) -> dict[str, Any]:
    """The values of `INSERT`."""
    encode = Encoder()
    encoded = [encode(event) for event in events]
    return {
        "ids": array([event.id for event in events]),
        "subjects": [event.subject for event in events],
        "headers": [headers for headers, _ in encoded],
        "bodies": [body for _, body in encoded],
    }


async def republish(session: WriteSession, since: datetime, until: datetime) -> int:
    """Publish again what was published in a range, after a broker lost it; the inboxes make it harmless."""
    result = await session.execute(
        text("UPDATE outbox SET published_at = NULL WHERE published_at >= :since AND published_at < :until"),
        {"since": since, "until": until},
    )
    await notify.notify(session, notify.OUTBOX)
    return int(result.rowcount)  # type: ignore[attr-defined]


async def relay(runtime: Runtime) -> None:
    """Publish this service's outbox for as long as the process lives; an advisory lock elects one relay."""
    while not runtime.stopping.is_set():
        connection: asyncpg.Connection | None = None
        try:
            connection = await runtime.database.listen_connection()
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(runtime.name, "relay")):
                await _relay_on(runtime, connection)
            else:
                runtime.beats.pop("outbox", None)
                await runtime.pause(5)
        except Exception as error:
            if not is_infrastructure(error):
                log.exception("outbox.failed")
            else:
                log.warning("outbox.waiting", error=repr(error))
            await runtime.pause(0.5)
        finally:
            backlog.forget()
            if connection is not None:
                with contextlib.suppress(Exception):
                    await connection.close(timeout=2)


async def _relay_on(runtime: Runtime, connection: asyncpg.Connection) -> None:
    now = asyncio.get_running_loop().time
    measured = -MEASURE_SECONDS
    while not runtime.stopping.is_set():
        runtime.beats["outbox"] = now()
        rows = await connection.fetch(_TAKE, BATCH)
        if rows:
            await _publish(runtime, connection, rows)
        if len(rows) == BATCH:
            continue
        if now() - measured > MEASURE_SECONDS:
            await backlog.measure(connection)
            measured = now()
        await runtime.pause(PACE_SECONDS)
        await notify.wait(runtime, notify.OUTBOX, IDLE_SECONDS)


async def _publish(runtime: Runtime, connection: asyncpg.Connection, rows: Sequence[Any]) -> None:
    """Send a run of rows, many in flight, and mark those whose ack came; what is not marked is sent again."""
    results = await asyncio.gather(*(_send(runtime, row) for row in rows), return_exceptions=True)
    sent = [row["id"] for row, result in zip(rows, results, strict=True) if not isinstance(result, BaseException)]
    await connection.execute(_MARK, sent)
    published.add(len(sent))
    failure = next((result for result in results if isinstance(result, BaseException)), None)
    if failure is not None:
        if getattr(failure, "err_code", None) == STREAM_FULL:
            await streams.trim(runtime.js, runtime.service.stream)
        raise failure


async def _send(runtime: Runtime, row: Any) -> None:
    headers = json.loads(row["headers"])
    await runtime.publish(row["subject"], row["body"], {**headers, "Nats-Msg-Id": headers["ce-id"]})
