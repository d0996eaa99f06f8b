"""The tier by the plainest words: tick after tick from the first day on, everything counted anew each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

TICK = timedelta(hours=12)
MONTHS = {"month": 1, "quarter": 3, "half_year": 6, "year": 12}


@dataclass(frozen=True)
class Plain:
    """A programme: what each tier takes as (points, cents, orders), from the second on."""

    needs: Sequence[tuple[int | None, int | None, int | None]]
    period: str = "rolling"
    days: int = 10
    calendar: str = "month"
    down: str = "balance"
    near: int = 50
    grace: int = 0

    def level(self, sums: Sequence[int]) -> int:
        found = 0
        for tier, ways in enumerate(self.needs, 1):
            if any(need is not None and value >= need for need, value in zip(ways, sums, strict=True)):
                found = tier
        return found

    def near_to(self, tier: int, sums: Sequence[int]) -> bool:
        ways = self.needs[tier - 1]
        return any(need is not None and value * 100 >= need * self.near for need, value in zip(ways, sums, strict=True))

    def definition(self) -> dict[str, Any]:
        """The same as a programme says it."""
        higher = [
            {"name": f"tier {number}"}
            | ({} if points is None else {"threshold": points})
            | ({} if cents is None else {"spend": f"{cents // 100}.{cents % 100:02}"})
            | ({} if orders is None else {"orders": orders})
            for number, (points, cents, orders) in enumerate(self.needs, 1)
        ]
        return {
            "tiers": [{"name": "tier 0", "threshold": 0}, *higher],
            "tier_window_days": self.days,
            "tiering": {
                "period": self.period, "calendar": self.calendar, "down": self.down, "near_percent": self.near,
                "grace_days": self.grace,
            },
        }  # fmt: skip


Facts = Sequence[tuple[datetime, tuple[int, int, int]]]


def total(facts: Facts, after: datetime, until: datetime, *, closed: bool = False) -> tuple[int, ...]:
    """What was reached in between; `closed`: on the first instant too, and not on the last."""
    chosen = [what for at, what in facts if (after <= at < until if closed else after < at <= until)]
    return tuple(sum(column) for column in zip((0, 0, 0), *chosen, strict=True))


def tier_at(plain: Plain, facts: Facts, now: datetime) -> int:
    """Where a customer stands, if the clock has been heard at every tick."""
    if not facts:
        return 0
    return (_rolling if plain.period == "rolling" else _calendar)(plain, facts, now)


def _rolling(plain: Plain, facts: Facts, now: datetime) -> int:
    at, tier, softened = min(at for at, _ in facts), 0, False
    hold: datetime | None = None
    grace: datetime | None = None
    while at <= now:
        sums = total(facts, at - timedelta(days=plain.days), at)
        level = plain.level(sums)
        if hold is not None and hold <= at:
            hold = None
        if level > tier:
            tier, hold, grace, softened = level, None, None, False
        elif level == tier:
            grace, softened = None, False
        elif hold is None:
            if grace is None and plain.grace:
                grace = at + timedelta(days=plain.grace)
            elif grace is None or grace <= at:
                grace = None
                if plain.down == "soft_landing" and not softened and plain.near_to(tier, sums):
                    softened, hold = True, at + timedelta(days=plain.days)
                else:
                    tier, softened = level if plain.down == "balance" else max(level, tier - 1), False
                    hold = at + timedelta(days=plain.days) if tier > level else None
        at += TICK
    return tier


def month_of(at: datetime, size: int) -> datetime:
    """The first instant of the calendar period."""
    number = (at.year * 12 + at.month - 1) // size * size
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def _calendar(plain: Plain, facts: Facts, now: datetime) -> int:
    size, tier, softened = MONTHS[plain.calendar], 0, False
    grace: datetime | None = None
    first = at = month_of(min(at for at, _ in facts), size)
    while at <= now:
        start = month_of(at, size)
        ended = total(facts, month_of(start - TICK, size), start, closed=True)
        sums = total(facts, start, at + TICK / 2, closed=True)
        both = tuple(one + other for one, other in zip(ended, sums, strict=True))
        if at == start and at > first:
            if plain.level(ended) >= tier:
                softened = False
            elif plain.grace:
                grace = at + timedelta(days=plain.grace)
            else:
                tier, softened = _fall(plain, tier, ended, softened=softened)
        if grace is not None and grace <= at:
            grace = None
            before = total(facts, start, at, closed=True)
            short = tuple(one + other for one, other in zip(ended, before, strict=True))
            tier, softened = _fall(plain, tier, short, softened=softened)
        level = plain.level(sums)
        if level > tier:
            tier, grace, softened = level, None, False
        elif grace is not None and plain.level(both) >= tier:
            grace, softened = None, False
        elif level == tier:
            softened = False
        at += TICK
    return tier


def _fall(plain: Plain, tier: int, sums: Sequence[int], *, softened: bool) -> tuple[int, bool]:
    level = plain.level(sums)
    if plain.down == "soft_landing" and not softened and plain.near_to(tier, sums):
        return tier, True
    return (level if plain.down == "balance" else max(level, tier - 1)), False


@pytest.fixture(scope="session")
def plain() -> type[Plain]:
    """Makes a programme."""
    return Plain


@pytest.fixture(scope="session")
def told_plainly() -> Callable[[Plain, Facts, datetime], int]:
    """The tier by the plainest words."""
    return tier_at
