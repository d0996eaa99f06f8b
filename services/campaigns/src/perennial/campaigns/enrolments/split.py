"""Sticky shares: the same journey, step and customer give the same arm in every version and at every entry."""

from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from perennial.campaigns.plans.steps import Arm, SplitStep

POINTS = 10_000


def draw(journey_id: UUID, step: SplitStep, customer_id: UUID) -> Arm:
    """The customer's arm; shares are exact to a hundredth of a percent."""
    digest = sha256(f"{journey_id}:{step.id}:{customer_id}".encode()).digest()
    point = Decimal(int.from_bytes(digest[:8], "big") % POINTS) / (POINTS // 100)
    reached = Decimal(0)
    for arm in step.arms:
        reached += arm.percent
        if point < reached:
            return arm
    return step.arms[-1]
