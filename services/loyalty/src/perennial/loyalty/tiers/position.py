"""Where a customer stands now, and where the clock leads: the way over the ladder, and what staff said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from perennial.loyalty.tiers.ladder import Ladder
from perennial.loyalty.tiers.path import Step, Why

Shown = Literal["beginning", "reached", "period_ended", "grace", "held", "kept", "override"]


@dataclass(frozen=True)
class Override:
    """What staff said of a tier: at least this, or exactly."""

    id: UUID
    tier: str
    exact: bool
    set_at: datetime
    until: datetime


@dataclass(frozen=True)
class Position:
    """The tier that is shown, and the one that was earned; what comes next if nothing more is earned, and when.

    `due`: when to look again. `held_until`: how long a tier lasts that was not reached again.
    """

    tier: int
    earned: int
    why: Shown
    held_until: datetime | None
    projected: int
    projected_at: datetime | None
    due: datetime | None
    override: Override | None


def stand(
    ladder: Ladder, steps: Sequence[Step], overrides: Sequence[Override], clock: datetime, now: datetime
) -> Position:
    """The position now.

    A tier that the clock takes after `clock` is kept until a timer has waited for the pipeline: what was earned in
    time may still be on its way.
    """
    known = [(item, index) for item in overrides if (index := ladder.index(item.tier)) is not None]
    past = [step for step in steps if step.at <= now]
    late = next((number for number, step in enumerate(past) if step.why == "period_ended" and step.at > clock), None)
    last = past[-1] if past else None
    if late is not None and last is not None and late and past[late - 1].tier > last.tier:
        last = past[late - 1]
    tier, override = _shown(last.tier if last else 0, known, now)
    coming = [step for step in steps if step.at > now]
    ends = [item.until for item, _ in known if item.until > now]
    projected, at = _ahead(last, coming, known, ends, now)
    due = [*ends, *(step.at for step in coming[:1]), *([past[late].at] if late is not None else [])]
    held = last.until if last is not None and last.until is not None and last.until > now else None
    earned, why = (last.tier, last.why) if last else (0, None)
    return Position(tier, earned, _why(why, override), held, projected, at, min(due, default=None), override)


def _why(last: Why | None, override: Override | None) -> Shown:
    if override is not None:
        return "override"
    return last or "beginning"


def _shown(
    earned: int, overrides: Sequence[tuple[Override, int]], at: datetime
) -> tuple[int, Override | None]:  # fmt: skip
    """The newest word of staff that still holds decides, unless the customer earned more."""
    active = [item for item in overrides if item[0].until > at]
    if not active:
        return earned, None
    said, tier = max(active, key=lambda item: (item[0].set_at, item[0].id))
    if tier <= earned and not said.exact:
        return earned, None
    return tier, said


def _ahead(
    last: Step | None, coming: Sequence[Step], overrides: Sequence[tuple[Override, int]], ends: Sequence[datetime],
    now: datetime,
) -> tuple[int, datetime | None]:  # fmt: skip
    """The next tier that is another than now's, and when; the same and None where there is none."""
    earned = last.tier if last else 0
    tier, _ = _shown(earned, overrides, now)
    moments = sorted({*ends, *(step.at for step in coming)})
    steps = iter(coming)
    step = next(steps, None)
    for at in moments:
        while step is not None and step.at <= at:
            earned, step = step.tier, next(steps, None)
        found, _ = _shown(earned, overrides, at)
        if found != tier:
            return found, at
    return tier, None
