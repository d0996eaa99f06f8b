"""What integrations hears: every fact there is."""

from perennial.common.contracts import Event
from perennial.common.messaging import Reaction, on
from perennial.integrations import service

REACTIONS: tuple[Reaction[Event], ...] = tuple(on(contract, service.enqueue) for contract in service.told())
