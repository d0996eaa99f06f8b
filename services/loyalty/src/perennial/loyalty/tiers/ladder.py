"""The ladder of one version of the programme: what each tier takes, and how high one stands by what was reached."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

from perennial.loyalty.programme.definition import Definition, TierRule
from perennial.loyalty.tiers.tiering import Tiering

Measure = Literal["points", "spend", "orders"]
MEASURES: tuple[Measure, ...] = ("points", "spend", "orders")


class Sums(NamedTuple):
    """What was reached: points of the tier currency, money in cents, orders."""

    points: int = 0
    cents: int = 0
    orders: int = 0

    def plus(self, other: "Sums", sign: int = 1) -> "Sums":
        """Both together, or the difference."""
        return Sums(
            self.points + sign * other.points, self.cents + sign * other.cents, self.orders + sign * other.orders
        )


NOTHING = Sums()


@dataclass(frozen=True)
class Rung:
    """A tier; each way that leads to it is enough. None: no such way."""

    rule: TierRule
    needs: tuple[int | None, int | None, int | None]

    @property
    def name(self) -> str:
        """The tier's."""
        return self.rule.name


class Ladder:
    """The tiers from the lowest up, how long they last, and by which calendar."""

    def __init__(self, rules: Definition, zone: tzinfo) -> None:
        self.rungs = [Rung(tier, _needs(tier)) for tier in rules.tiers]
        self.tiering: Tiering = rules.tiering
        self.currency = rules.tiers_rest_on
        self.window = timedelta(days=rules.tier_window_days)
        self.grace = timedelta(days=rules.tiering.grace_days)
        self.zone = zone
        ways = [(way, *_steps(self.rungs, way)) for way in range(len(MEASURES))]
        self._ways = [(way, thresholds, tiers) for way, thresholds, tiers in ways if thresholds]

    @property
    def rolling(self) -> bool:
        """Whether what counts is always the last days."""
        return self.tiering.period == "rolling"

    @property
    def forgetful(self) -> bool:
        """Whether nothing counts but what lies in the window."""
        return self.rolling and self.tiering.down == "balance" and not self.grace

    @property
    def by_orders(self) -> bool:
        """Whether orders lead to any tier, by their number or worth."""
        return any(way for way, _, _ in self._ways)

    def index(self, name: str) -> int | None:
        """Where a tier stands; None for one that there is not."""
        return next((number for number, rung in enumerate(self.rungs) if rung.name == name), None)

    def level(self, sums: Sums) -> int:
        """The highest tier that some way leads to."""
        found = 0
        for way, thresholds, tiers in self._ways:
            at = bisect_right(thresholds, sums[way])
            if at and tiers[at - 1] > found:
                found = tiers[at - 1]
        return found

    def is_near(self, tier: int, sums: Sums) -> bool:
        """Whether some way has been gone far enough for a soft landing."""
        share = self.tiering.near_percent
        return any(
            need is not None and value * 100 >= need * share
            for need, value in zip(self.rungs[tier].needs, sums, strict=True)
        )

    def missing(self, tier: int, sums: Sums) -> dict[Measure, int]:
        """What each way to a tier still takes; any of them is enough."""
        return {
            measure: max(0, need - value)
            for measure, need, value in zip(MEASURES, self.rungs[tier].needs, sums, strict=True)
            if need is not None
        }

    def begins(self, now: datetime) -> datetime:
        """What counts now was reached after this instant."""
        if self.rolling:
            return now - self.window
        return self.tiering.bounds(now, self.zone)[0] - timedelta(microseconds=1)


def _needs(tier: TierRule) -> tuple[int | None, int | None, int | None]:
    return tier.threshold, None if tier.spend is None else int(tier.spend * 100), tier.orders


def _steps(rungs: Sequence[Rung], way: int) -> tuple[list[int], list[int]]:
    """The thresholds of one way, which ascend, and the tiers that they lead to."""
    found = [(need, number) for number, rung in enumerate(rungs) if number and (need := rung.needs[way]) is not None]
    return [need for need, _ in found], [number for _, number in found]
