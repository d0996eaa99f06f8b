"""How far the pipeline has come: a timer may fire only when its instant lies behind."""

from datetime import UTC, datetime

from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from perennial.common.contracts import gateway as gateway_contract
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, IdentifiersAssigned
from perennial.common.messaging.worker import hot_durable

IDENTITY_STREAM = IdentifiersAssigned.producer().upper()


async def _reached(js: JetStreamContext, stream: str, consumer: str, subject: str = ">") -> datetime:
    """Everything stored in the stream under the subject before this instant has been acknowledged by the consumer."""
    asked = datetime.now(UTC)
    info = await js.consumer_info(stream, consumer)
    if not info.num_pending and not info.num_ack_pending:
        return asked
    floor = info.ack_floor.stream_seq if info.ack_floor else 0
    try:
        waiting = await js.get_msg(stream, seq=floor + 1, next=True, subject=subject)
    except NotFoundError:
        return asked
    if waiting.time is None:
        return datetime.fromtimestamp(0, UTC)
    return min(asked, waiting.time)


async def behind(js: JetStreamContext, service: str, partition: int | None) -> datetime:
    """All that was received before this instant has been handled by `service`, for one partition.

    INGEST is asked first: what leaves it is in EVENTS already, so nothing can slip between the two questions.
    A partition of None asks for INGEST alone. What the map of identifiers said before must be known as well: a
    customer's other identifiers are found by it.
    """
    ingest = await _reached(js, gateway_contract.STREAM, "identity")
    if partition is None:
        return ingest
    subject = f"{RESOLVED_SUBJECT}.{partition}"
    events = await _reached(js, RESOLVED_STREAM, hot_durable(service, partition), subject)
    return min(ingest, events, await _map_reached(js, service))


async def _map_reached(js: JetStreamContext, service: str) -> datetime:
    """The same for identity's facts; a service that hears none of them waits for none."""
    asked = datetime.now(UTC)
    try:
        return await _reached(js, IDENTITY_STREAM, service)
    except NotFoundError:
        return asked
