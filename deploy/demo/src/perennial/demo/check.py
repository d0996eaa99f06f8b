"""The self-check: what the platform shows against what the data files say."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from perennial.demo.audience import SEGMENTS
from perennial.demo.desk import STAGES
from perennial.demo.figures import Shown
from perennial.demo.journeys import step
from perennial.demo.live import Traffic
from perennial.demo.reference import Reference

EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """One comparison; `differences` names the first households that are not equal."""

    name: str
    expected: Any
    actual: Any
    differences: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the platform is right."""
        return bool(self.expected == self.actual) and not self.differences


def run(reference: Reference, shown: Shown, rejected: int) -> list[Check]:
    """Every comparison of the report."""
    orders = shown.summaries["orders"]
    months = {row["month"]: (row["orders"], Decimal(row["gmv"])) for row in orders["months"]}
    return [
        Check("events rejected by the gateway", 0, rejected),
        Check("customers", len(reference.households), shown.summaries["customers"]["customers"]),
        Check("orders", reference.orders.height, orders["orders"]),
        Check("GMV", reference.gmv, Decimal(orders["gmv"])),
        *_months(reference.months, months),
        *_households(reference, shown),
        Check("points earned", reference.points, shown.summaries["loyalty"]["earned"]),
        *_segments(reference, shown),
    ]


def live(traffic: Traffic, shown: Shown, spent: int) -> list[Check]:
    """What the live traffic must have led to."""
    loyalty, funnel = shown.summaries["loyalty"], traffic.winback_funnel
    arms = step(funnel, "share")["outcomes"]
    return [
        Check("carts on the reminder's journey", len(traffic.carts), traffic.cart_funnel["enrolled"]),
        Check("reminders sent", traffic.abandoned(email=True), traffic.reminders["sent"]),
        Check("reminders without an address", traffic.abandoned(email=False), traffic.reminders["no_address"]),
        Check("win-back: enrolled", len(traffic.lapsed), funnel["enrolled"]),
        Check("win-back: treated and control", funnel["enrolled"], sum(arms.values())),
        Check("win-back: back with an order", len(traffic.back), sum(funnel["exited"].values())),
        Check("refund requests", ", ".join(STAGES[: len(traffic.stages)]), ", ".join(traffic.stages)),
        Check("points spent", spent, loyalty["spent"]),
        Check("points owed: earned less spent", loyalty["earned"] - spent, loyalty["liability"]),
    ]


def _months(expected: Mapping[str, tuple[int, Decimal]], actual: Mapping[str, tuple[int, Decimal]]) -> list[Check]:
    nothing = (0, Decimal(0))
    wrong = [
        f"{month}: {expected.get(month, nothing)} expected, {actual.get(month, nothing)} shown"
        for month in sorted({*expected, *actual})
        if expected.get(month) != actual.get(month)
    ]
    return [Check("orders and GMV per local month", len(expected), len(actual), wrong)]


def _households(reference: Reference, shown: Shown) -> list[Check]:
    homes = reference.households
    rfm, accounts, as_of, zone = shown.rfm, shown.accounts, shown.as_of, shown.zone
    return [
        _each("last order of every household", homes, rfm, lambda home: home.last_at, _last_at),
        _each(
            f"recency of every household, in days of {zone.key}",
            homes,
            rfm,
            lambda home: home.recency(as_of, zone),
            lambda row: row["recency_days"],
        ),
        _each(
            "frequency of every household",
            homes,
            rfm,
            lambda home: home.frequency,
            lambda row: row["frequency"],
        ),
        _each(
            "monetary value of every household",
            homes,
            rfm,
            lambda home: home.monetary,
            lambda row: Decimal(row["monetary"]),
        ),
        _each(
            "points earned by every household",
            {key: home for key, home in homes.items() if home.points},
            {key: row for key, row in accounts.items() if row["earned"]},
            lambda home: home.points,
            lambda row: row["earned"],
        ),
    ]


def _last_at(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["last_order_at"])


def _each(
    name: str,
    expected: Mapping[int, Any],
    actual: Mapping[int, Any],
    want: Callable[[Any], Any],
    show: Callable[[Any], Any],
) -> Check:
    """Compare one value of every household; both sides must know the same households."""
    missing = [f"household {key}: not shown" for key in sorted(expected.keys() - actual.keys())]
    extra = [f"household {key}: not expected" for key in sorted(actual.keys() - expected.keys())]
    wrong = [
        f"household {key}: {want(expected[key])} expected, {show(actual[key])} shown"
        for key in sorted(expected.keys() & actual.keys())
        if want(expected[key]) != show(actual[key])
    ]
    differences = missing + extra + wrong
    equal = len(expected.keys() & actual.keys()) - len(wrong)
    return Check(name, len(expected), equal, differences[:EXAMPLES])


def _segments(reference: Reference, shown: Shown) -> Iterator[Check]:
    for segment in SEGMENTS:
        if segment.name in shown.segments:
            expected, actual = segment.members(reference, shown.as_of), shown.members[segment.name]
            wrong = [f"household {key}" for key in sorted(expected ^ actual)][:EXAMPLES]
            yield Check(f"members of the segment {segment.name!r}", len(expected), len(actual), wrong)
