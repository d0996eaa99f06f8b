"""Into the stream INGEST; no answer before the broker has stored it. Under load one message serves many requests."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent
from perennial.common.events import headers_for
from perennial.common.ids import uuid7_text
from perennial.gateway import tracing
from perennial.gateway.tracking.refusal import Refusal
from perennial.gateway.tracking.waiting import Load, Waiting

log = structlog.get_logger()

AT_ONCE = 4  # fewer leave the disk idle, more leave less to share
SHARED_BYTES = 64 * 1024
ENVELOPE_ROOM = 8 * 1024  # headers, and the JSON around the events
_JSON = msgspec.json.Encoder()


class Publisher:
    """Publishes accepted events. Every failure is a Refusal with 503: the client sends again, identity counts once.

    A message is stored durably before the next of its kind is, so single events would wait in line for the disk. The
    requests that arrive meanwhile leave together; alone, a request leaves at once.
    """

    def __init__(self, client: Client, *, seconds: float, in_flight_bytes: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=seconds)
        self._seconds = seconds
        self._limit = in_flight_bytes
        self._in_flight = 0
        self._waiting = Waiting()
        self._sending: set[asyncio.Task[None]] = set()
        self._due = False

    async def publish(self, source_id: str, events: Sequence[AcceptedEvent], received_at: datetime) -> None:
        """Store the events of one request. Raises Refusal when the broker did not say that it has."""
        if not self._client.is_connected:
            raise _unavailable()
        parts = self._parts(events)
        size = sum(map(len, parts))
        if self._in_flight and self._in_flight + size > self._limit:
            raise Refusal(503, "overloaded", "too many events are waiting to be stored, send them again later")
        self._in_flight += size
        try:
            now = asyncio.get_running_loop().time()
            loads = [Load(part, received_at, now) for part in parts]
            for load in loads:
                self._waiting.add(source_id, load)
            self._send_soon()
            if len(loads) == 1:
                await loads[0].stored
            else:
                await asyncio.gather(*(load.stored for load in loads))
        finally:
            self._in_flight -= size

    def _parts(self, events: Sequence[AcceptedEvent]) -> list[bytes]:
        """One; only thousands of tiny events, whose frames outweigh them, need a second one."""
        encoded = _JSON.encode(events)[1:-1]
        if len(encoded) <= self._client.max_payload - ENVELOPE_ROOM or len(events) == 1:
            return [encoded]
        half = len(events) // 2
        return [*self._parts(events[:half]), *self._parts(events[half:])]

    def _send_soon(self) -> None:
        """After the other requests that are ready now have queued up too."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._due = False
        while self._waiting and len(self._sending) < AT_ONCE:
            task = asyncio.create_task(self._store(*self._waiting.take(SHARED_BYTES)))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._waiting:
            self._waiting.drop(asyncio.get_running_loop().time() - self._seconds, _unavailable)
            self._send()

    async def _store(self, source_id: str, loads: list[Load]) -> None:
        context = loads[0].context
        attributes: dict[str, str | int] = {"perennial.source": source_id, "perennial.requests": len(loads)}
        begun = context.run(tracing.begin, "ingest", attributes)
        try:
            if not self._client.is_connected:  # the client would send it after the reconnect, when nobody waits
                raise nats.errors.ConnectionClosedError
            received_at = loads[0].received_at
            headers = context.run(headers_for, SUBJECT, uuid7_text(), received_at, f"/sources/{source_id}")
            await self._js.publish(SUBJECT, _message(source_id, loads), self._seconds, STREAM, headers)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            log.warning("ingest.refused", source_id=source_id, requests=len(loads), error=repr(error))
            tracing.failed(begun, error)
            for load in loads:
                load.fail(_refusal(error))
        except BaseException:
            for load in loads:
                load.fail(_unavailable())
            raise
        else:
            for load in loads:
                load.succeed()
        finally:
            if begun is not None:
                begun.end()


def _message(source_id: str, loads: Sequence[Load]) -> bytes:
    """`EventsAccepted`, put together from events that are JSON already."""
    return b'{"source":%b,"events":[%b]}' % (_JSON.encode(source_id), b",".join(load.events for load in loads))


def _unavailable() -> Refusal:
    return Refusal(503, "broker_unavailable", "events could not be stored, send them again")


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, nats.js.errors.APIError) and error.err_code in _FULL:
        return Refusal(503, "stream_full", "the platform is catching up, send the events again later")
    return _unavailable()


# "maximum messages/bytes exceeded" and "insufficient resources" of the JetStream API.
_FULL = frozenset({10_077, 10_023, 10_122})
