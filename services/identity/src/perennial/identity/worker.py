"""From INGEST to EVENTS: hands each pull to `decisions.service` and publishes what that decided."""

import asyncio
import traceback

import msgspec
from nats.aio.msg import Msg
from opentelemetry import trace

from perennial.common import telemetry
from perennial.common.contracts.gateway import STREAM, EventsAccepted
from perennial.common.contracts.profile import ErasureRequested
from perennial.common.db import WriteSession
from perennial.common.ids import digest_uuid
from perennial.common.messaging import on, parked
from perennial.common.messaging.consumer import SUSPICIOUS_DELIVERIES, Consumer
from perennial.common.runtime import Runtime
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival
from perennial.identity.erasing import service as erasing
from perennial.identity.publisher import Publisher

tracer = trace.get_tracer("perennial")

AT_ONCE = 2
MOST_MESSAGES, MOST_EVENTS = 64, 3000

_DECODER = msgspec.json.Decoder(EventsAccepted)


class Ingest:
    """Decides and publishes the messages of a pull; when it returns they may be acknowledged."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._decider = Decider(runtime)
        self._publisher = Publisher(runtime)

    async def __call__(self, messages: list[Msg]) -> None:
        """Every event of the messages: published, dropped as a repeat, or parked."""
        context, links = telemetry.causes(messages)
        with tracer.start_as_current_span("identity consume INGEST", context, links=links):
            chunks, broken = read(messages)
            for chunk in chunks:
                await self._publisher.send(await self._decider.decide(chunk))
            if broken:
                await self._decider.park(broken)


def read(messages: list[Msg]) -> tuple[list[list[Arrival]], list[parked.Parked]]:
    """The events in the order of the stream, cut into transactions; what cannot be decoded is set aside.

    A message that was delivered too often, each time a crash, is decided apart from its neighbours.
    """
    chunks: list[list[Arrival]] = [[]]
    broken: list[parked.Parked] = []
    for message in sorted(messages, key=_sequence):
        alone = message.metadata.num_delivered > SUSPICIOUS_DELIVERIES
        if alone or len(chunks[-1]) >= MOST_EVENTS:
            chunks.append([])
        try:
            chunks[-1] += Arrival.of(_DECODER.decode(message.data), _sequence(message))
        except msgspec.MsgspecError as error:
            event_id = digest_uuid(STREAM, str(_sequence(message)))
            broken.append(parked.Parked(parked.origin_of(message), event_id, repr(error), traceback.format_exc()))
        if alone:
            chunks.append([])
    return [chunk for chunk in chunks if chunk], broken


def _sequence(message: Msg) -> int:
    return message.metadata.sequence.stream


async def consume(runtime: Runtime) -> None:
    """Work through INGEST for as long as the process lives, two pulls at a time."""
    ingest = Ingest(runtime)
    consumers = [Consumer(runtime, STREAM, runtime.name, process=ingest, most=MOST_MESSAGES) for _ in range(AT_ONCE)]
    await asyncio.gather(*(consumer.run() for consumer in consumers))


async def forget(session: WriteSession, events: list[ErasureRequested]) -> None:
    """Erase customers, the first of all services."""
    await erasing.erase(session, [erasing.Wanted(event.erasure_id, event.customer) for event in events])


REACTIONS = (on(ErasureRequested, forget),)
