"""What the rules say of an event, rule by rule: the same verdicts that made the points, told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from uuid import UUID

from perennial.common import rules
from perennial.common.rules import Explanation
from perennial.common.rules.sentences.phrases import Language
from perennial.loyalty.earning.asking import Because, Verdict
from perennial.loyalty.earning.caps import counted
from perennial.loyalty.earning.choosing import Room
from perennial.loyalty.earning.facts import EXACT, FINEST, Facts
from perennial.loyalty.programme.earning import Earner


@dataclass(frozen=True)
class Answer:
    """One rule: why it counts or not, what it would have given (`claimed`) and what it gives (`points`)."""

    rule: str
    currency: str
    because: Because
    per: Literal["unit", "item", "event"]
    units: Decimal | None
    rate: Decimal
    factors: Sequence[tuple[str, Decimal]]
    claimed: int
    points: int
    group: str | None
    reason: Explanation | None


class Given(Room):
    """What was given, as it was remembered where there were caps."""

    def __init__(self, earner: Earner, given: Mapping[str, int]) -> None:
        self._earner, self._given = earner, given

    def left(self, verdict: Verdict) -> int:
        """What the rule gave then."""
        if counted(self._earner.programme, verdict.rule):
            return min(verdict.points, self._given.get(verdict.rule.name, 0))
        return verdict.points


def answers(
    earner: Earner, name: str, facts: Facts, room: Room, language: Language, claims: Mapping[str, int] | None = None
) -> list[Answer]:
    """Every rule that is about events of that name; `claims` are what they gave before caps, where that was kept."""
    asked = earner.by_event.get(name)
    if asked is None:
        return []
    verdicts = asked.verdicts(facts)
    if claims is not None:
        was = {verdict.rule.name: verdict for verdict in earner.claimed(claims, first=facts.first_order)}
        verdicts = [_as_it_was(verdict, was.get(verdict.rule.name)) for verdict in verdicts]
    chosen = earner.choose(verdicts, room)
    return [
        _answer(earner, before, after, facts, language)
        for before, after in zip(verdicts, chosen, strict=True)
    ]  # fmt: skip


def _as_it_was(now: Verdict, then: Verdict | None) -> Verdict:
    if then is None or then.points == now.points:
        return now
    return Verdict(now.rule, "holds", now.units, now.factors, then.points)


def _answer(earner: Earner, before: Verdict, after: Verdict, facts: Facts, language: Language) -> Answer:
    rule = before.rule
    reason = None
    if rule.condition is not None:
        reason = rules.explain(rules.parse(rule.condition), facts.view(), facts.at, language=language)
    units = before.units
    if isinstance(units, Fraction):
        units = EXACT.divide(Decimal(units.numerator), Decimal(units.denominator)).quantize(FINEST, context=EXACT)
    return Answer(
        rule.name, rule.currency or earner.programme.main.code, after.because, rule.per,
        units if before.because in {"holds", "nothing"} else None, rule.points_per_unit, before.factors, before.points,
        after.points, rule.group, reason,
    )  # fmt: skip


NOBODY = UUID(int=0)
"""Stands for whoever has no identifier yet."""
