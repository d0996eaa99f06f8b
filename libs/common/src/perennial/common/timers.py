"""Timers that wait for the pipeline: kept in Postgres, fired in batches (see `firing`), only behind the watermark."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common import notify
from perennial.common.db import ReadSession, WriteSession
from perennial.common.ids import partition_of, uuid7

_SCHEDULE = text("""
    INSERT INTO timer (id, kind, key, due_at, partition, payload)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:keys AS text[]),
                         CAST(:dues AS timestamptz[]), CAST(:partitions AS smallint[]), CAST(:payloads AS jsonb[]))
    ON CONFLICT (kind, key) DO UPDATE SET
        due_at = excluded.due_at, partition = excluded.partition, payload = excluded.payload""")


@dataclass(frozen=True)
class Timer:
    """Something to do at an instant. `kind` and `key` name it: scheduling the same again moves it.

    `via` says whose events must have been handled first: its partition is asked for the watermark. `passed`, of one
    that fires: how far the pipeline had come, which may be further than `due_at` and behind the present.
    """

    kind: str
    key: str
    due_at: datetime
    payload: Mapping[str, Any] = field(default_factory=dict)
    partition: int | None = None
    passed: datetime | None = None


TimerHandler = Callable[[WriteSession, list[Timer]], Awaitable[None]]


def timer_for(via: UUID, kind: str, key: str, due_at: datetime, payload: Mapping[str, Any] | None = None) -> Timer:
    """A timer that waits for everything said about `via` before `due_at`."""
    return Timer(kind, key, due_at, payload or {}, partition_of(via))


async def schedule(session: WriteSession, timers: Sequence[Timer]) -> None:
    """Set timers, in one statement."""
    unique = {(timer.kind, timer.key): timer for timer in timers}
    wanted = [unique[key] for key in sorted(unique)]
    if not wanted:
        return
    await session.execute(
        _SCHEDULE,
        {
            "ids": [uuid7() for _ in wanted],
            "kinds": [timer.kind for timer in wanted],
            "keys": [timer.key for timer in wanted],
            "dues": [timer.due_at for timer in wanted],
            "partitions": [timer.partition for timer in wanted],
            "payloads": [json.dumps(dict(timer.payload)) for timer in wanted],
        },
    )
    await notify.notify(session, notify.TIMERS)


async def cancel(session: WriteSession, kind: str, keys: Sequence[str]) -> None:
    """Forget timers; unknown keys are no error."""
    await session.execute(
        text("DELETE FROM timer WHERE kind = :kind AND key = ANY(:keys)"), {"kind": kind, "keys": list(keys)}
    )


async def next_due(session: ReadSession) -> datetime | None:
    """The instant of the earliest timer."""
    found: datetime | None = (await session.execute(text("SELECT min(due_at) FROM timer"))).scalar_one()
    return found
