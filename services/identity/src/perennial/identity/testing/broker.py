"""What tests ask of a real broker: what is in INGEST, what has come out of it into EVENTS."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from nats.js.errors import NotFoundError

from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_STREAM, EventsResolved, ResolvedEvent
from perennial.common.runtime import Runtime

RESOLVED = msgspec.json.Decoder(EventsResolved)


class Stored(NamedTuple):
    """A message of EVENTS."""

    subject: str
    headers: dict[str, str]
    events: list[ResolvedEvent]


async def send(runtime: Runtime, *events: AcceptedEvent) -> int:
    ack = await runtime.js.publish(SUBJECT, msgspec.json.encode(EventsAccepted("shop", list(events))))
    return ack.seq


async def stored(runtime: Runtime) -> list[Stored]:
    info = await runtime.js.stream_info(RESOLVED_STREAM)
    found = []
    for seq in range(max(1, info.state.first_seq), info.state.last_seq + 1):
        with contextlib.suppress(NotFoundError):
            message = await runtime.js.get_msg(RESOLVED_STREAM, seq)
            events = RESOLVED.decode(message.data or b"").events
            found.append(Stored(str(message.subject), dict(message.headers or {}), events))
    return found


async def published(runtime: Runtime) -> list[ResolvedEvent]:
    return [event for message in await stored(runtime) for event in message.events]


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await check()):  # noqa: ASYNC110 (what it waits for is in another process)
            await asyncio.sleep(0.05)
        return found


async def done(runtime: Runtime) -> bool:
    """Whether everything in INGEST was acknowledged."""
    info = await runtime.js.stream_info(STREAM)
    return info.state.messages == 0
