"""Freeing what a stream no longer needs: what every consumer has read."""

import contextlib
from datetime import UTC, datetime, timedelta

import structlog
from nats.js.api import StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

log = structlog.get_logger()


async def trim(js: JetStreamContext, stream: str, *, above: float = 0.5) -> None:
    """Free what every consumer of each subject has acknowledged, once a stream is fuller than `above` of its limit.

    Nothing is ever dropped by age: what a service that is down has not read stays.
    """
    info = await js.stream_info(stream)
    if info.state.bytes < above * (info.config.max_bytes or 1):
        return
    for subject, floor in (await _floors(js, stream, info)).items():
        if floor:
            with contextlib.suppress(NotFoundError):
                await js.purge_stream(stream, subject=subject, seq=floor + 1)
    log.info("stream.trimmed", stream=stream)


async def age(js: JetStreamContext, stream: str, longest: timedelta) -> int:
    """Free what is older than `longest` and has been read by every consumer of its subject; returns up to where.

    Copies must not stay for ever. What somebody has not read yet stays, however old.
    """
    info = await js.stream_info(stream)
    last = await _last_before(js, stream, info, datetime.now(UTC) - longest)
    if last == 0:
        return 0
    for subject, floor in (await _floors(js, stream, info)).items():
        if floor:
            with contextlib.suppress(NotFoundError):
                await js.purge_stream(stream, subject=subject, seq=min(floor, last) + 1)
    log.info("stream.aged", stream=stream, until=last)
    return last


async def _last_before(js: JetStreamContext, stream: str, info: StreamInfo, until: datetime) -> int:
    """The sequence of the newest message stored before an instant, or 0."""
    low, high = info.state.first_seq, info.state.last_seq
    found = 0
    while low <= high:
        middle = (low + high) // 2
        try:
            message = await js.get_msg(stream, middle, subject=">", next=True)  # in a gap: the one behind it
        except NotFoundError:
            high = middle - 1
            continue
        if message.time is not None and message.time < until:
            found = message.seq or middle
            low = found + 1
        else:
            high = middle - 1
    return found


async def _floors(js: JetStreamContext, stream: str, info: StreamInfo) -> dict[str, int]:
    """By subject, up to where every consumer has acknowledged."""
    floors: dict[str, int] = {}
    for consumer in await js.consumers_info(stream):
        config = consumer.config
        for subject in config.filter_subjects or [config.filter_subject or ">"]:
            floor = consumer.ack_floor.stream_seq if consumer.ack_floor else 0
            if consumer.num_pending == 0 and consumer.num_ack_pending == 0:
                floor = info.state.last_seq
            floors[subject] = min(floors.get(subject, floor), floor)
    return floors
