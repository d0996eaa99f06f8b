"""A rule as one sentence, in English or Chinese."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import assert_never, cast
from uuid import UUID

from perennial.common.rules.conditions import COMPARE
from perennial.common.rules.criteria import Amount, Bounds, Condition, When
from perennial.common.rules.literals import Moment, Scalar, format_moment
from perennial.common.rules.nodes import (
    AllOf,
    AnyOf,
    Everyone,
    InBucket,
    InSegment,
    Not,
    OnEvent,
    OnTrait,
    Rule,
)
from perennial.common.rules.phrases import WORDS, Language, Words
from perennial.common.rules.values import text


def describe(rule: Rule, language: Language = "en", *, segments: Mapping[UUID, str] | None = None) -> str:
    """One sentence; `segments` gives segments' names, else their ids are shown."""
    words = WORDS[language]
    return words.sentence.format(x=phrase(rule, language, segments=segments))


def phrase(rule: Rule, language: Language = "en", *, segments: Mapping[UUID, str] | None = None) -> str:
    """The same without the sentence around it."""
    return _Printer(WORDS[language], segments or {}).rule(rule).strip()


@dataclass(frozen=True, slots=True)
class _Printer:
    words: Words
    segments: Mapping[UUID, str]

    def rule(self, rule: Rule, *, inner: bool = False) -> str:  # noqa: PLR0911 (one return per kind of node)
        words = self.words
        match rule:
            case AllOf() | AnyOf():
                joint = words.conjunction if isinstance(rule, AllOf) else words.disjunction
                said = joint.join(self.rule(part, inner=True) for part in rule.rules)
                return words.group.format(x=said) if inner and len(rule.rules) > 1 else said
            case Not():
                return words.negation.format(x=self.rule(rule.rule))
            case OnTrait():
                return self.condition(rule.trait, rule)
            case OnEvent():
                return self.event(rule)
            case InSegment():
                name = self.segments.get(rule.segment)
                return words.segment.format(x=self.quote(name) if name else rule.segment)
            case InBucket():
                return words.bucket.format(salt=self.quote(rule.bucket.salt), x=self.bounds(rule.bucket))
            case Everyone():
                return words.everyone
        assert_never(rule)

    def condition(self, name: str, condition: Condition) -> str:
        operator, operand = condition.operator, condition.operand
        if operator == "exists":
            return self.words.known[0 if operand else 1].format(it=name)
        if operator in {"before", "after", "within_last", "within_next"}:
            return self.time(name, operator, cast("Moment", operand))
        items = operand if isinstance(operand, tuple) else (operand,)
        said = self.words.comma.join(self.literal(item) for item in cast("Sequence[Scalar]", items))
        return self.words.operators[operator].format(it=name, x=said)

    def event(self, rule: OnEvent) -> str:
        words, (name, wanted) = self.words, rule.measure
        event = self.quote(rule.event)
        if rule.within:
            event = words.within.format(event=event, x=self.span(rule.within))
        if rule.where:
            said = words.where_join.join(self.condition(item.property, item) for item in rule.where)
            event = words.where.format(event=event, x=said)
        if isinstance(wanted, When):
            return self.time(words.moments[name].format(event=event), wanted.operator, cast("Moment", wanted.operand))
        if isinstance(wanted, Amount):
            return words.measures[name].format(of=wanted.property, event=event, x=self.bounds(wanted))
        return self.count(event, wanted)

    def count(self, event: str, wanted: Bounds) -> str:
        given = wanted.model_dump(exclude_none=True)
        if given == {"gte": 1}:
            return self.words.happened.format(event=event)
        if given == {"eq": 0}:
            return self.words.never.format(event=event)
        return self.words.count[0 if set(given.values()) == {1} else 1].format(event=event, x=self.bounds(wanted))

    def time(self, it: str, operator: str, moment: Moment) -> str:
        words = self.words
        if not isinstance(moment, timedelta):
            return words.operators[operator].format(it=it, x=format_moment(moment))
        return words.ago.get(operator, words.operators[operator]).format(it=it, x=self.span(moment))

    def bounds(self, wanted: Bounds) -> str:
        given = ((name, getattr(wanted, name)) for name in COMPARE)
        return self.words.bound_join.join(
            self.words.bounds[name].format(x=text(limit)) for name, limit in given if limit is not None
        )

    def literal(self, value: Scalar) -> str:
        if isinstance(value, bool):
            return self.words.truth[0 if value else 1]
        return str(text(value)) if isinstance(value, Decimal) else self.quote(value)

    def quote(self, said: str) -> str:
        return self.words.quote.format(x=said)

    def span(self, duration: timedelta) -> str:
        hours, rest = divmod(duration.seconds, 3600)
        amounts = (duration.days, hours, *divmod(rest, 60))
        said = [f"{n} {one if n == 1 else many}" for n, (one, many) in zip(amounts, self.words.units, strict=True) if n]
        return " ".join(said) or f"0 {self.words.units[-1][1]}"
