"""Publishing: `emit` writes a row beside the change, one relay per service sends it."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import backlog, faults, notify, packs, trimming
from perennial.common.contracts.base import Event
from perennial.common.db import WriteSession
from perennial.common.db.locks import lock_key
from perennial.common.events import Encoder
from perennial.common.failures import is_infrastructure
from perennial.common.packs import COUNTED, Fact, Said
from perennial.common.publishing import MOST, STREAM_FULL, Publisher
from perennial.common.runtime import Runtime

log = structlog.get_logger()
meter = metrics.get_meter("perennial")
published = meter.create_counter("perennial.outbox.published", description="Facts published.")

BATCH = MOST  # facts of a round
BYTES = 4 * 1024 * 1024  # of a round, if it is more than one row
IDLE_SECONDS = 30.0
MEASURE_SECONDS, BUSY_MEASURE_SECONDS = 5.0, 30.0
PACE_SECONDS = 0.03  # between rounds that found little: what is committed meanwhile shares the next one
BUSY, BUSY_PACE_SECONDS = 10, 0.1  # facts of a round; where more is said, rounds begin so far apart, and cost less
KEEP = timedelta(days=1)

HELD = "held"
"""In a session's `info`: events that wait for the statement which ends the work (see `holding`).

What a savepoint says does not wait: it leaves ahead of what was said before the savepoint.
"""

INSERT = """
    INSERT INTO outbox (event_id, subject, headers, body)
    SELECT id, subject, CAST(headers AS jsonb), body
    FROM unnest(CAST(CAST(:ids AS text) AS uuid[]), CAST(:subjects AS text[]), CAST(:headers AS text[]),
                CAST(:bodies AS bytea[])) AS said (id, subject, headers, body)"""
_INSERT = text(INSERT)
# A round is bounded by facts and by bytes; `seen` tells whether more waits.
_TAKE = f"""
    SELECT id, subject, headers, body, seen
    FROM (SELECT id, subject, headers, body, count(*) OVER () AS seen,
                 sum({COUNTED}) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS facts,
                 sum(octet_length(body)) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS bytes
          FROM (SELECT id, subject, headers, body FROM outbox
                WHERE published_at IS NULL AND id <> ALL($1::bigint[]) ORDER BY id LIMIT {BATCH}) AS next) AS counted
    WHERE facts <= {BATCH} AND (bytes <= {BYTES} OR bytes = octet_length(body)) ORDER BY id"""  # noqa: S608 (ours)
_MARK = "UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])"
_AGAIN = text(f"""
    WITH again AS (UPDATE outbox SET published_at = NULL WHERE published_at >= :since AND published_at < :until
                   RETURNING subject, headers)
    SELECT coalesce(sum({COUNTED}), 0) FROM again""")  # noqa: S608 (ours)


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


async def say(session: WriteSession, facts: Sequence[Said]) -> None:
    """The same for what is encoded already."""
    if not facts:
        return
    held: list[Event] | None = session.info.get(HELD)
    if held and not session.in_nested_transaction():  # they were said before
        await session.execute(_INSERT, rows_of(held))
        held.clear()
    await session.execute(_INSERT, packs.rows(facts))
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
    return packs.rows([Said(event.id, event.subject, *encode(event)) for event in events])


async def republish(session: WriteSession, since: datetime, until: datetime) -> int:
    """Publish again what was published in a range, after a broker lost it; the inboxes make it harmless."""
    facts = (await session.execute(_AGAIN, {"since": since, "until": until})).scalar_one()
    await notify.notify(session, notify.OUTBOX)
    return int(facts)


async def relay(runtime: Runtime) -> None:
    """Publish this service's outbox for as long as the process lives; an advisory lock elects one relay."""
    one = _Relay(runtime)
    while not runtime.stopping.is_set():
        try:
            async with _elected(runtime) as connection:
                if connection is not None:
                    await one.run(connection)
                    continue
        except Exception as error:
            if not is_infrastructure(error):
                log.exception("outbox.failed")
            else:
                log.warning("outbox.waiting", error=repr(error))
            await runtime.pause(0.5)  # without the lock: another process may know better
        else:
            await runtime.pause(5)
    backlog.forget()


@contextlib.asynccontextmanager
async def _elected(runtime: Runtime) -> AsyncIterator[asyncpg.Connection | None]:
    """A connection that holds the lock, or None where another process relays."""
    connection: asyncpg.Connection | None = None
    try:
        connection = await runtime.database.listen_connection()
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key(runtime.name, "relay")):
            yield connection
        else:
            runtime.beats.pop("outbox", None)
            backlog.forget()
            yield None
    finally:
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close(timeout=2)


@dataclass
class _Round:
    """Rows and what they say; `rows` has of each its id and how many facts are its."""

    rows: list[tuple[int, int]]
    facts: list[Fact]
    unread: Exception | None
    more: bool

    @classmethod
    def read(cls, found: Sequence[Any]) -> "_Round":
        """A row that cannot be read stays; it is told as a failure, after the others have gone."""
        made = cls([], [], None, more=bool(found) and (found[0]["seen"] > len(found) or found[0]["seen"] == BATCH))
        for row in found:
            try:
                facts = packs.facts(row["subject"], row["headers"], row["body"])
            except (KeyError, zlib.error, msgspec.MsgspecError) as error:
                made.unread = error
                continue
            made.rows.append((row["id"], len(facts)))
            made.facts += facts
        return made

    def stored(self, failures: Sequence[Exception | None]) -> list[int]:
        """The rows of which every fact is stored."""
        ids, at = [], 0
        for identifier, count in self.rows:
            if not any(failures[at : at + count]):
                ids.append(identifier)
            at += count
        return ids


class _Relay:
    """Rounds in the order of their rows: while one is being stored, the next is taken and read, not yet sent."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._publisher = runtime, Publisher(runtime.nats)
        self._round = _Round([], [], None, more=False)
        self._storing: asyncio.Task[list[Exception | None]] | None = None
        self._measured = -BUSY_MEASURE_SECONDS

    async def run(self, connection: asyncpg.Connection) -> None:
        """Until the process stops. Raises what kept a fact from being stored."""
        self._connection = connection
        try:
            await self._run()
        finally:
            if self._storing is not None:
                self._storing.cancel()
            self._storing, self._round = None, _Round([], [], None, more=False)

    async def _run(self) -> None:
        now, runtime = asyncio.get_running_loop().time, self._runtime
        while not runtime.stopping.is_set():
            runtime.beats["outbox"] = began = now()
            await self._measure(began)
            found = await self._connection.fetch(_TAKE, [identifier for identifier, _ in self._round.rows])
            taken = _Round.read(found)
            await self._settle()
            self._round = taken
            if found:
                self._storing = asyncio.create_task(self._publisher.store(taken.facts))
            if taken.more:
                continue
            await self._settle()
            pace = PACE_SECONDS if len(taken.facts) < BUSY else BUSY_PACE_SECONDS
            await runtime.pause(max(PACE_SECONDS, began + pace - now()))
            await notify.wait(runtime, notify.OUTBOX, IDLE_SECONDS)
        await self._settle()

    async def _measure(self, now: float) -> None:
        """Before anything can fail: what does not get through must be told. Seldom while there is much to count."""
        if now - self._measured > (BUSY_MEASURE_SECONDS if self._round.more else MEASURE_SECONDS):
            await backlog.measure(self._connection)
            self._measured = now

    async def _settle(self) -> None:
        """Mark what is stored of the round that is out; what is not marked is sent again."""
        if self._storing is None:
            return
        storing, self._storing = self._storing, None
        done, self._round = self._round, _Round([], [], None, more=False)
        failures = await storing
        faults.point(f"{self._runtime.name}.unmarked")
        await self._connection.execute(_MARK, done.stored(failures))
        published.add(failures.count(None))
        failure = next(filter(None, failures), None) or done.unread
        if failure is not None:
            if getattr(failure, "err_code", None) == STREAM_FULL:
                await trimming.trim(self._runtime.js, self._runtime.service.stream)
            raise failure
