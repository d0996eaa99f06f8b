"""A rule as one sentence, in English or Chinese."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never, cast
from uuid import UUID

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.evaluation.conditions import COMPARE, Timed
from perennial.common.rules.grammar.criteria import Amount, Bounds, Condition, Element, Property, When
from perennial.common.rules.grammar.nodes import (
    STAGE,
    TAGS,
    AllOf,
    AnyOf,
    Everyone,
    InBucket,
    InSegment,
    Not,
    OnElement,
    OnEvent,
    OnSequence,
    OnTrait,
    Rule,
    Step,
)
from perennial.common.rules.sentences.phrases import PATH, WORDS, Language, Words
from perennial.common.rules.values.literals import Scalar, format_moment
from perennial.common.rules.values.places import Around
from perennial.common.rules.values.scalars import text


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
            case OnElement():
                return self.condition(rule.property.removesuffix("[]"), rule)
            case OnEvent():
                return self.event(rule)
            case OnSequence():
                said = self.sequence(rule)
                return words.group.format(x=said) if inner else said
            case InSegment():
                name = self.segments.get(rule.segment)
                return words.segment.format(x=self.quote(name) if name else rule.segment)
            case InBucket():
                return words.bucket.format(salt=self.quote(rule.bucket.salt), x=self.bounds(rule.bucket))
            case Everyone():
                return words.everyone
        assert_never(rule)

    def condition(self, name: str, condition: Condition | Element) -> str:
        words = self.words
        if isinstance(condition, Element):
            said = words.element_join.join(self.condition(item.property, item) for item in condition.where)
            said = words.group.format(x=said) if len(condition.where) > 1 else said
            return words.element[0 if condition.any_of else 1].format(it=self.path(name), x=said)
        operator, operand = condition.operator, condition.operand
        if isinstance(condition, OnTrait) and isinstance(operand, str) and name in {TAGS, STAGE}:
            known = {(TAGS, "is"): words.tag[0], (TAGS, "is_not"): words.tag[1], (STAGE, "is"): words.stage}
            if (name, operator) in known:
                return known[name, operator].format(x=self.quote(operand))
        name = self.path(name)
        if operator == "exists":
            return words.known[0 if operand else 1].format(it=name)
        if operator in {"before", "after", "within_last", "within_next", "within"}:
            return self.time(name, operator, cast("Timed", operand))
        if operator in {"between", "birthday_within", "near"}:
            return self.particular(name, operator, operand)
        items = operand if isinstance(operand, tuple) else (operand,)
        said = words.comma.join(self.literal(item) for item in cast("Sequence[Scalar]", items))
        return words.operators[operator].format(it=name, x=said)

    def particular(self, name: str, operator: str, operand: object) -> str:
        """Operators whose operand is no plain value; one that is masked is shown as it is."""
        words = self.words
        if isinstance(operand, tuple):
            first, last = (operand[0], operand[-1])
            said = words.between[1 if isinstance(first, datetime) else 0]
            return said.format(it=name, x=self.end(first), y=self.end(last))
        if isinstance(operand, Around):
            place = {part: text(getattr(operand, part)) for part in ("km", "latitude", "longitude")}
            return words.near.format(it=name, **place)
        if operator == "birthday_within":
            return words.birthday[1 if operand else 0].format(it=name, n=operand)
        return words.near.format(it=name, km=operand, latitude=operand, longitude=operand)

    def end(self, value: object) -> str:
        return format_moment(value) if isinstance(value, datetime) else str(text(value))

    def event(self, rule: OnEvent) -> str:
        words, (name, wanted) = self.words, rule.measure
        event = self.happened(rule.event, rule.within, rule.where)
        for relation, other in rule.beside:
            beside = self.happened(other.event, None, other.where)
            event = words.beside[relation].format(event=event, x=self.span(other.within), other=beside)
        if isinstance(wanted, When):
            return self.time(words.moments[name].format(event=event), wanted.operator, cast("Timed", wanted.operand))
        if isinstance(wanted, Amount):
            return words.measures[name].format(of=self.path(wanted.property), event=event, x=self.bounds(wanted))
        return self.count(event, wanted)

    def happened(self, name: str, within: timedelta | Calendar | None, where: Sequence[Property | Element]) -> str:
        words, event = self.words, self.quote(name)
        if isinstance(within, Calendar):
            event = words.during.format(event=event, x=self.calendar(within))
        elif within:
            event = words.within.format(event=event, x=self.span(within))
        if not where:
            return event
        said = (self.condition(item.property.removesuffix("[]") if isinstance(item, Element) else item.property, item)
                for item in where)  # fmt: skip
        return words.where.format(event=event, x=words.where_join.join(said))

    def sequence(self, rule: OnSequence) -> str:
        words = self.words
        said = words.sequence.format(x=words.step_join.join(self.step(step) for step in rule.steps))
        if rule.span:
            said = words.sequence_span.format(x=said, y=self.span(rule.span))
        if isinstance(rule.within, Calendar):
            return words.sequence_during.format(x=said, y=self.calendar(rule.within))
        return words.sequence_within.format(x=said, y=self.span(rule.within)) if rule.within else said

    def step(self, step: Step) -> str:
        event = self.happened(step.event, None, step.where)
        if step.within:
            return self.words.step_within.format(event=event, x=self.span(step.within))
        return self.words.step.format(event=event)

    def count(self, event: str, wanted: Bounds) -> str:
        given = wanted.model_dump(exclude_none=True)
        if given == {"gte": 1}:
            return self.words.happened.format(event=event)
        if given == {"eq": 0}:
            return self.words.never.format(event=event)
        return self.words.count[0 if set(given.values()) == {1} else 1].format(event=event, x=self.bounds(wanted))

    def time(self, it: str, operator: str, moment: Timed) -> str:
        words = self.words
        if isinstance(moment, Calendar):
            return words.in_calendar.format(it=it, x=self.calendar(moment))
        if operator == "within":
            return words.in_calendar.format(it=it, x=moment)
        if not isinstance(moment, timedelta):
            return words.operators[operator].format(it=it, x=format_moment(moment))
        return words.ago.get(operator, words.operators[operator]).format(it=it, x=self.span(moment))

    def calendar(self, window: Calendar) -> str:
        words, count = self.words, window.count or 1
        if count == 1:
            return words.calendar[window.kind, window.unit]
        return words.calendars[window.kind].format(n=count, units=words.calendar_units[window.unit])

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
        return self.words.quote.format(x=said.replace("”", "””"))

    def path(self, said: str) -> str:
        """A path that is no single word is quoted."""
        return said if PATH.fullmatch(said) else self.quote(said)

    def span(self, duration: timedelta) -> str:
        hours, rest = divmod(duration.seconds, 3600)
        amounts = (duration.days, hours, *divmod(rest, 60))
        said = [f"{n} {one if n == 1 else many}" for n, (one, many) in zip(amounts, self.words.units, strict=True) if n]
        return " ".join(said) or f"0 {self.words.units[-1][1]}"
