"""A source's rate limit as the limiter wants it."""

from perennial.gateway.limits import Policy
from perennial.gateway.sources.models import Source

NAME = "source"


def policy_of(source: Source) -> Policy | None:
    """The exact rate; the burst rounded up to whole seconds of it, because the headers speak in whole seconds."""
    if source.events_per_second is None or source.burst is None:
        return None
    seconds = -(-source.burst // source.events_per_second)
    return Policy(NAME, source.events_per_second * seconds, seconds)
