"""Caps: what a customer has had of a rule within a day, a week, a month, a year or ever."""

import calendar
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from perennial.loyalty.earning.asking import Verdict
from perennial.loyalty.earning.choosing import Room
from perennial.loyalty.earning.definition import Cap, EarnRule, Per
from perennial.loyalty.programme.definition import Definition

ONCE = Cap(times=1, per="ever")


@dataclass(frozen=True, slots=True)
class Use:
    """What a rule has given for one cause (an order, an event), on a day in the programme's time zone."""

    cause: UUID
    rule: str
    via: UUID
    currency: str
    subject: str
    day: date
    points: int


def window(per: Per, day: date) -> tuple[date, date]:
    """The first and the last day of the window that a day lies in; weeks begin on Monday."""
    if per == "week":
        monday = day - timedelta(days=day.weekday()) if day.toordinal() > 7 else date.min
        return monday, monday + timedelta(days=6) if day < date.max - timedelta(days=7) else date.max
    if per == "month":
        return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])
    if per == "year":
        return day.replace(month=1, day=1), day.replace(month=12, day=31)
    return (date.min, date.max) if per == "ever" else (day, day)


def caps_of(rule: EarnRule) -> Iterator[Cap]:
    """A rule's caps; a first order is one."""
    yield from rule.caps
    if rule.first_order:
        yield ONCE


def counted(rules: Definition, rule: EarnRule) -> bool:
    """Whether what a rule gives has to be remembered."""
    code = rule.currency or rules.main.code
    return rule.capped or any((cap.currency or rules.main.code) == code for cap in rules.earn_caps)


class Left(Room):
    """What one cause may still be given, by what the customer has had for others."""

    def __init__(self, rules: Definition, others: Iterable[Use], cause: UUID, via: UUID, day: date,
                 subjects: dict[str, str]) -> None:  # fmt: skip
        self._rules, self._others = rules, list(others)
        self._cause, self._via, self._day, self._subjects = cause, via, day, subjects
        self.taken: list[Use] = []

    def left(self, verdict: Verdict) -> int:
        """The least of what the rule's caps and its currency's leave."""
        rule, bound = verdict.rule, verdict.points
        had = [use for use in self._others if use.rule == rule.name]
        for cap in caps_of(rule):
            if cap.per == "event":
                bound = min(bound, cap.points or 0)
                continue
            inside = [use for use in self._within(had, cap.per)
                      if not cap.each or use.subject == self._subject(rule)]  # fmt: skip
            if cap.points is not None:
                bound = min(bound, cap.points - sum(use.points for use in inside))
            elif len(inside) >= (cap.times or 0):
                bound = 0
        return max(0, min(bound, self._of_currency(rule, bound)))

    def take(self, verdict: Verdict) -> None:
        """Remember what a rule gives, where a cap asks for it."""
        rule = verdict.rule
        if counted(self._rules, rule):
            code = rule.currency or self._rules.main.code
            self.taken.append(
                Use(self._cause, rule.name, self._via, code, self._subject(rule), self._day, verdict.points)
            )

    def _of_currency(self, rule: EarnRule, bound: int) -> int:
        main = self._rules.main.code
        code = rule.currency or main
        for cap in self._rules.earn_caps:
            if (cap.currency or main) == code:
                others = () if cap.per == "event" else self._within(self._others, cap.per)
                had = sum(use.points for use in (*others, *self.taken) if use.currency == code)
                bound = min(bound, cap.points - had)
        return bound

    def _within(self, uses: Iterable[Use], per: Per) -> list[Use]:
        first, last = window(per, self._day)
        return [use for use in uses if first <= use.day <= last]

    def _subject(self, rule: EarnRule) -> str:
        return self._subjects.get(rule.name, "")
