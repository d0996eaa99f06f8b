"""What segments hears."""

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.messaging import on
from perennial.segments.facts import service as facts

REACTIONS = (on(ResolvedEvent, facts.record),)
