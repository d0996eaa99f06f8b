"""Sends resolved events to their partitions of EVENTS and returns when the broker has stored them."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import nats.errors
import nats.js.errors
import structlog

from perennial.common import faults, streams, trimming
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved, ResolvedEvent
from perennial.common.events import headers_for
from perennial.common.failures import is_infrastructure
from perennial.common.ids import PARTITIONS, partition_of, uuid7
from perennial.common.runtime import Runtime

log = structlog.get_logger()

MOST_EVENTS, MOST_BYTES = 1000, 500_000
IN_FLIGHT = 32
ENVELOPE_BYTES = 400  # of an event beside its body and name
STREAM_FULL = 10077  # JetStream: maximum bytes or messages exceeded, and discard is new
LONGEST_PAUSE = 2.0

_ENCODER = msgspec.json.Encoder()


class Outgoing(NamedTuple):
    """A message for one partition."""

    subject: str
    body: bytes


def messages(events: Sequence[ResolvedEvent]) -> Iterator[Outgoing]:
    """The events of each partition in their order, in messages that the broker takes."""
    lots: list[list[ResolvedEvent]] = [[] for _ in range(PARTITIONS)]
    for event in events:
        lots[partition_of(event.via)].append(event)
    for partition, lot in enumerate(lots):
        for part in _cut(lot):
            yield Outgoing(f"{RESOLVED_SUBJECT}.{partition}", _ENCODER.encode(EventsResolved(part)))


def _cut(events: list[ResolvedEvent]) -> Iterator[list[ResolvedEvent]]:
    part: list[ResolvedEvent] = []
    size = 0
    for event in events:
        bytes_of = len(memoryview(event.body)) + 4 * len(event.name or "") + ENVELOPE_BYTES
        if part and (size + bytes_of > MOST_BYTES or len(part) == MOST_EVENTS):
            yield part
            part, size = [], 0
        part.append(event)
        size += bytes_of
    if part:
        yield part


class Publisher:
    """Publishes until all is stored; meanwhile INGEST fills, and in the end the gateway answers 503."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._since_trim = 0
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def send(self, events: Sequence[ResolvedEvent]) -> None:
        """Publish, and try again what was not stored. Raises the last error when the process is stopping."""
        waiting = list(messages(events))
        pause = 0.25
        while waiting:
            outcomes = await asyncio.gather(*(self._store(message) for message in waiting), return_exceptions=True)
            failed = [pair for pair in zip(waiting, outcomes, strict=True) if isinstance(pair[1], BaseException)]
            if not failed:
                break
            await self._relieve([error for _, error in failed if isinstance(error, BaseException)], pause)
            waiting = [message for message, _ in failed]
            pause = min(pause * 2, LONGEST_PAUSE)
        await self._trim_now_and_then()

    async def _store(self, message: Outgoing) -> None:
        async with self._slots:
            if not self._runtime.nats.is_connected:  # what waits in the client may be stored after it was given up
                raise nats.errors.ConnectionReconnectingError
            headers = headers_for(RESOLVED_SUBJECT, str(uuid7()), utc_now(), "/services/identity")
            await self._runtime.js.publish(message.subject, message.body, timeout=10, headers=headers)
            faults.point("identity.publishing")
            self._since_trim += len(message.body)

    async def _relieve(self, errors: Sequence[BaseException], pause: float) -> None:
        """Make room or wait."""
        for error in errors:
            if not is_infrastructure(error):
                raise error
        if any(isinstance(error, nats.js.errors.APIError) and error.err_code == STREAM_FULL for error in errors):
            log.warning("events.full", messages=len(errors), seconds=pause)
            await self._trim()
        else:
            log.warning("events.waiting", messages=len(errors), seconds=pause, error=repr(errors[0]))
        if await self._runtime.pause(pause):
            raise errors[0]

    async def _trim_now_and_then(self) -> None:
        if self._since_trim > streams.size_of(RESOLVED_STREAM) // 16:
            await self._trim()

    async def _trim(self) -> None:
        self._since_trim = 0
        try:
            await trimming.trim(self._runtime.js, RESOLVED_STREAM)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            log.warning("events.not_trimmed", error=repr(error))
