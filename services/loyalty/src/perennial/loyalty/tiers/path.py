"""The way of a customer over the ladder, from facts alone: whoever knows the same facts finds the same tier."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from perennial.loyalty.tiers.ladder import NOTHING, Ladder, Sums

Why = Literal["reached", "period_ended", "grace", "held", "kept"]


class Fact(NamedTuple):
    """What counts towards tiers, and when."""

    at: datetime
    sums: Sums


class Step(NamedTuple):
    """From `at` on the customer stands in `tier`.

    reached: up. period_ended: down, or as far down as one goes at a time. grace: not reached again, and lost `until`
    then. held: not reached again, but near, and kept `until` then. kept: reached again in time.
    """

    at: datetime
    tier: int
    why: Why
    until: datetime | None = None


@dataclass(slots=True)
class _State:
    ladder: Ladder
    tier: int = 0
    sums: Sums = NOTHING
    held: datetime | None = None
    grace: datetime | None = None
    ended: Sums = NOTHING  # of the calendar period in whose grace this is
    softened: bool = False
    steps: list[Step] = field(default_factory=list)

    def step(self, at: datetime, why: Why, until: datetime | None = None) -> None:
        self.steps.append(Step(at, self.tier, why, until))

    def rise(self, at: datetime) -> int:
        """Up at once, wherever it leads; and what is reached again is safe. Returns how high what counts reaches."""
        level = self.ladder.level(self.sums)
        if level > self.tier:
            self.tier, self.held, self.grace, self.softened = level, None, None, False
            self.step(at, "reached")
        elif self.grace is not None and self.ladder.level(self.counted) >= self.tier:
            self.grace, self.softened = None, False
            self.step(at, "kept")
        elif level == self.tier:
            self.softened = False
        return level

    @property
    def counted(self) -> Sums:
        """What counts for keeping the tier in a grace: the ended period and what came since."""
        return self.sums.plus(self.ended)

    def lose(self, at: datetime, until: datetime) -> None:
        """The tier was not reached again in time; whatever is kept is kept `until` then."""
        if self.grace is None and self.ladder.grace:
            self.grace = at + self.ladder.grace
            self.step(at, "grace", self.grace)
            return
        self.grace = None
        level, policy = self.ladder.level(self.counted), self.ladder.tiering.down
        if policy == "soft_landing" and not self.softened and self.ladder.is_near(self.tier, self.counted):
            self.softened, self.held = True, until
            self.step(at, "held", until)
            return
        self.tier = level if policy == "balance" else max(level, self.tier - 1)
        self.held, self.softened = (until if self.tier > level else None), False
        self.step(at, "period_ended", self.held)


def walk(ladder: Ladder, facts: Sequence[Fact]) -> list[Step]:
    """Every step there was, and every step that comes if nothing more is earned; `facts` ascend."""
    state, most = _State(ladder), NOTHING
    for fact in facts:
        most = most.plus(fact.sums)
    if not ladder.level(most):
        return []  # all of it together leads nowhere, so no part of it does
    if ladder.rolling:
        _roll(state, facts)
    else:
        _turn(state, facts)
    return state.steps


def _roll(state: _State, facts: Sequence[Fact]) -> None:
    """What counts are the last days at every moment: facts come, and leave when the window has passed over them."""
    window, come, gone = state.ladder.window, 0, 0
    while True:
        due = [at for at in (state.held, state.grace) if at is not None and state.tier]
        if come < len(facts):
            due.append(facts[come].at)
        if gone < come:
            due.append(facts[gone].at + window)
        if not due:
            return
        now = min(due)
        while come < len(facts) and facts[come].at <= now:
            state.sums = state.sums.plus(facts[come].sums)
            come += 1
        while gone < come and facts[gone].at + window <= now:
            state.sums = state.sums.plus(facts[gone].sums, -1)
            gone += 1
        _settle(state, now)


def _settle(state: _State, now: datetime) -> None:
    level = state.rise(now)
    if state.held is not None and state.held <= now:
        state.held = None
    if level < state.tier and state.held is None and (state.grace is None or state.grace <= now):
        state.lose(now, now + state.ladder.window)


def _turn(state: _State, facts: Sequence[Fact]) -> None:
    """What counts is what was reached since the period began; a tier is asked for again when it ends."""
    for now, fact in _moments(state, facts):
        if fact is not None:
            state.sums = state.sums.plus(fact.sums)
            state.rise(now)
        elif state.grace is not None and state.grace <= now:
            if state.ladder.level(state.counted) < state.tier:
                state.lose(now, _end(state, now))
            state.ended = NOTHING
        else:
            _close(state, now)


def _close(state: _State, now: datetime) -> None:
    """A period ends: the tier is kept by what was reached in it."""
    state.held = None
    state.ended, state.sums = state.sums, NOTHING
    if state.ladder.level(state.ended) >= state.tier:
        state.softened = False
        if state.tier:
            state.step(now, "kept")
    else:
        state.lose(now, _end(state, now))
    if state.grace is None:
        state.ended = NOTHING


def _end(state: _State, at: datetime) -> datetime:
    return state.ladder.tiering.bounds(at, state.ladder.zone)[1]


def _moments(state: _State, facts: Sequence[Fact]) -> Iterator[tuple[datetime, Fact | None]]:
    """Facts, and in between the ends of periods and of graces, as long as there is something to lose."""
    end: datetime | None = None
    for fact in facts:
        yield from _clock(state, end, fact.at)
        if end is None or fact.at >= end:
            end = _end(state, fact.at)
        yield fact.at, fact
    while state.tier and end is not None:
        last = end
        yield from _clock(state, end, end + timedelta(microseconds=1))
        end = _end(state, last)


def _clock(state: _State, end: datetime | None, until: datetime) -> Iterator[tuple[datetime, None]]:
    """The ends that lie before an instant (or on it: what comes then belongs to the next period)."""
    while end is not None:
        if state.grace is not None and state.grace < end:
            if state.grace > until:
                return
            yield state.grace, None
            continue
        if end > until:
            return
        yield end, None
        if not state.tier:
            state.sums = NOTHING
            return
        end = _end(state, end)
