"""Consuming: batch-first, exactly once in effect, and never stopped by one bad event."""

from perennial.common.messaging.reactions import Reaction, on

__all__ = ["Reaction", "on"]
