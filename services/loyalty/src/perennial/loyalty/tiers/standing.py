"""A tier as it is written down for one customer of today."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class State:
    """A row of `tier_state`."""

    customer_id: UUID
    tier: str
    since: datetime
    points: int
    review_at: datetime | None
    version: int
    earned: str | None
    why: str | None
    held_until: datetime | None
    projected: str | None
    projected_at: datetime | None
    override_id: UUID | None
    benefits: list[dict[str, Any]]
    programme: int | None
    clock: datetime

    def heard_until(self, now: datetime) -> datetime:
        """Up to when the clock may take the tier away.

        Where it was not to move anything by now, whatever it seems to have taken comes of other facts, a merge say.
        """
        return self.clock if self.review_at is not None and self.review_at <= now else now
