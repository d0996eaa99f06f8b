"""How far the pipeline has come: a timer may fire only when its instant lies behind."""

import asyncio
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from perennial.common.contracts import gateway as gateway_contract
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, IdentifiersAssigned
from perennial.common.messaging.worker import hot_durable

IDENTITY_STREAM = IdentifiersAssigned.producer().upper()


async def _reached(js: JetStreamContext, stream: str, consumer: str) -> datetime:
    """Everything stored in the stream before this instant has been acknowledged by the consumer."""
    asked, floor = await _floor(js, stream, consumer)
    return asked if floor is None else await _first(js, stream, floor, ">", asked)


async def _lane_reached(js: JetStreamContext, durable: str, partitions: Collection[int]) -> dict[int, datetime]:
    """The same for some of the partitions that a hot consumer brings."""
    asked, floor = await _floor(js, RESOLVED_STREAM, durable)
    if floor is None:
        return dict.fromkeys(partitions, asked)
    subjects = [f"{RESOLVED_SUBJECT}.{partition}" for partition in partitions]
    reached = await asyncio.gather(*(_first(js, RESOLVED_STREAM, floor, subject, asked) for subject in subjects))
    return dict(zip(partitions, reached, strict=True))


async def _floor(js: JetStreamContext, stream: str, consumer: str) -> tuple[datetime, int | None]:
    """When it was asked, and up to which message all was acknowledged then; None: whatever there was."""
    asked = datetime.now(UTC)
    info = await js.consumer_info(stream, consumer)
    if not info.num_pending and not info.num_ack_pending:
        return asked, None
    return asked, info.ack_floor.stream_seq if info.ack_floor else 0


async def _first(js: JetStreamContext, stream: str, floor: int, subject: str, asked: datetime) -> datetime:
    """When the first message behind the floor was stored, at the latest when it was asked."""
    try:
        waiting = await js.get_msg(stream, seq=floor + 1, next=True, subject=subject)
    except NotFoundError:
        return asked
    if waiting.time is None:
        return datetime.fromtimestamp(0, UTC)
    return min(asked, waiting.time)


async def behind(js: JetStreamContext, service: str, partitions: Iterable[int | None]) -> dict[int | None, datetime]:
    """All that was received before these instants has been handled by `service`, for each of the partitions.

    INGEST is asked first: what leaves it is in EVENTS already, so nothing can slip between the two questions; the
    others are asked all at once. A partition of None asks for INGEST alone. What the map of identifiers said before
    must be known as well: a customer's other identifiers are found by it.
    """
    ingest = await _reached(js, gateway_contract.STREAM, "identity")
    found: dict[int | None, datetime] = {None: ingest}
    lanes: dict[str, set[int]] = {}
    for partition in partitions:
        if partition is not None:
            lanes.setdefault(hot_durable(service, partition), set()).add(partition)
    if lanes:
        known, reached = await asyncio.gather(
            _map_reached(js, service),
            asyncio.gather(*(_lane_reached(js, lane, held) for lane, held in lanes.items())),
        )
        found |= {partition: min(ingest, known, at) for lane in reached for partition, at in lane.items()}
    return found


async def _map_reached(js: JetStreamContext, service: str) -> datetime:
    """The same for identity's facts; a service that hears none of them waits for none."""
    asked = datetime.now(UTC)
    try:
        return await _reached(js, IDENTITY_STREAM, service)
    except NotFoundError:
        return asked
