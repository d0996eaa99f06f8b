"""What every schema sweeps out: facts a day after their publication, inbox after three, keys and work after seven."""

import contextlib
from datetime import timedelta

import nats.errors
import nats.js.errors
from sqlalchemy import text

from perennial.common import trimming
from perennial.common.contracts.identity import RESOLVED_STREAM, IdentifiersAssigned
from perennial.common.operations import worker as operations
from perennial.common.service import Job, ServiceRuntime

_SWEEPS = (
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE published_at < now() - interval '1 day' LIMIT 9999)",
    "DELETE FROM inbox WHERE event_id IN (SELECT event_id FROM inbox WHERE at < now() - interval '3 days' LIMIT 9999)",
    "DELETE FROM idempotency WHERE created_at < now() - interval '7 days'",
)


async def sweep(runtime: ServiceRuntime) -> None:
    """Delete in small transactions until nothing is old, and free what the service's own stream no longer needs."""
    for statement in _SWEEPS:
        deleted = 1
        while deleted and not runtime.stopping.is_set():
            async with runtime.database.write() as session:
                deleted = int((await session.execute(text(statement))).rowcount)  # type: ignore[attr-defined]
    if runtime.service.name == IdentifiersAssigned.producer():  # it publishes to the hot stream, too
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
            await trimming.age(runtime.js, RESOLVED_STREAM, timedelta(days=runtime.settings.stream_days))
    if runtime.service.operations:
        await operations.sweep(runtime)
    if runtime.service.emits:
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
            await trimming.trim(runtime.js, runtime.service.stream)
            await trimming.age(runtime.js, runtime.service.stream, timedelta(days=runtime.settings.stream_days))


SWEEP = Job("sweep", timedelta(hours=1), sweep)
