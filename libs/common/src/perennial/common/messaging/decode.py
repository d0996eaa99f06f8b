"""From a message's bytes to events, one item each."""

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

import msgspec
from nats.aio.msg import Msg

from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import RESOLVED_STREAM, EventsResolved, ResolvedEvent
from perennial.common.events import attributes
from perennial.common.messaging.batch import Item
from perennial.common.messaging.parked import Origin

_RESOLVED = msgspec.json.Decoder(EventsResolved)


def resolved(message: Msg) -> Iterable[Item]:
    """The events of one message of a hot partition."""
    make = tuple.__new__  # half the time of calling the class, and every event passes here
    return [make(Item, (event.id, event, message)) for event in _RESOLVED.decode(message.data).events]


class Facts:
    """Decodes facts by their subject."""

    def __init__(self, contracts: Mapping[str, type[Event]]) -> None:
        self._contracts = contracts

    def __call__(self, message: Msg) -> Iterator[Item]:
        """The one event of a message; headers that are broken make it undecodable."""
        attributes(message.headers)
        event = self._contracts[message.subject].model_validate_json(message.data)
        yield Item(event.id, event, message)

    def read(self, origin: Origin) -> list[tuple[UUID, Event | ResolvedEvent]]:
        """A parked event again. Raises ValueError while it still cannot be decoded."""
        if origin.stream == RESOLVED_STREAM:
            return [(event.id, event) for event in _RESOLVED.decode(origin.body).events]
        event = self._contracts[origin.subject].model_validate_json(origin.body)
        return [(event.id, event)]
