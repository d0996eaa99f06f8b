"""Into the stream INGEST: one message for one request, and no answer before the broker has stored it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client

from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent, EventsAccepted
from perennial.common.events import headers_for
from perennial.common.ids import uuid7
from perennial.gateway.tracking.refusal import Refusal

log = structlog.get_logger()

HEADERS_ROOM = 4096
_JSON = msgspec.json.Encoder()


class Publisher:
    """Publishes accepted events. Every failure is a Refusal with 503: the client sends again, identity counts once."""

    def __init__(self, client: Client, *, seconds: float, in_flight_bytes: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=seconds)
        self._seconds = seconds
        self._limit = in_flight_bytes
        self._in_flight = 0

    async def publish(self, source_id: str, events: Sequence[AcceptedEvent], received_at: datetime) -> None:
        """Store the events of one request. Raises Refusal when the broker did not say that it has."""
        if not self._client.is_connected:
            raise Refusal(503, "broker_unavailable", "events cannot be stored right now, send them again")
        payloads = self._payloads(source_id, events)
        size = sum(map(len, payloads))
        if self._in_flight and self._in_flight + size > self._limit:
            raise Refusal(503, "overloaded", "too many events are waiting to be stored, send them again later")
        self._in_flight += size
        try:
            await asyncio.gather(*(self._store(source_id, payload, received_at) for payload in payloads))
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
            log.warning("ingest.refused", source_id=source_id, error=repr(error))
            raise _refusal(error) from error
        finally:
            self._in_flight -= size

    async def _store(self, source_id: str, payload: bytes, received_at: datetime) -> None:
        headers = headers_for(SUBJECT, str(uuid7()), received_at, f"/sources/{source_id}")
        await self._js.publish(SUBJECT, payload, timeout=self._seconds, stream=STREAM, headers=headers)

    def _payloads(self, source_id: str, events: Sequence[AcceptedEvent]) -> list[bytes]:
        """One message; only thousands of tiny events, whose frames outweigh them, need a second one."""
        payload = _JSON.encode(EventsAccepted(source_id, list(events)))
        if len(payload) <= self._client.max_payload - HEADERS_ROOM or len(events) == 1:
            return [payload]
        half = len(events) // 2
        return [*self._payloads(source_id, events[:half]), *self._payloads(source_id, events[half:])]


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, nats.js.errors.APIError) and error.err_code in _FULL:
        return Refusal(503, "stream_full", "the platform is catching up, send the events again later")
    return Refusal(503, "broker_unavailable", "events could not be stored, send them again")


# "maximum messages/bytes exceeded" and "insufficient resources" of the JetStream API.
_FULL = frozenset({10_077, 10_023, 10_122})
