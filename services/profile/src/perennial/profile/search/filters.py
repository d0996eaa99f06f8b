"""What customers must be to stand in a list, as SQL over their rows."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from perennial.common.problems import Unprocessable
from perennial.common.rules.calendar.zones import TRAITS as ZONES
from perennial.common.rules.calendar.zones import deployment_zone
from perennial.common.rules.evaluation.conditions import on_calendar
from perennial.common.rules.grammar.criteria import Condition
from perennial.common.rules.grammar.nodes import (
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
)
from perennial.common.rules.sql.clock import Clock, own_zone
from perennial.common.rules.sql.conditions import condition_sql
from perennial.common.rules.sql.values import Binds, number, walk
from perennial.common.rules.values.paths import trait_path
from perennial.common.rules.values.scalars import number as as_number

MEMBERS = "SELECT customer_id FROM membership WHERE segment_id = {0} AND member"
_OWN = {"tags": "to_jsonb(c.tags)", "stage": "to_jsonb(c.stage)"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of it must hold: every tag, one of the stages, the segment, the rule."""

    tags: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    segment: UUID | None = None
    rule: Rule | None = None


@dataclass(slots=True)
class Filter:
    """SQL over a row `c` of customers: `narrow` is what an index answers, `held` is all of it; empty: everybody."""

    narrow: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    binds: Binds = field(default_factory=Binds)


def compiled(wanted: Wanted, now: datetime, computed: Collection[str] = ()) -> Filter:
    """The filter of a list; `computed` names the computed traits. Raises Unprocessable for a rule about events."""
    made = Filter()
    if wanted.tags:
        made.narrow.append(f"c.tags @> {made.binds(list(wanted.tags), 'text[]')}")
    if wanted.stages:
        made.narrow.append(f"c.stage = ANY({made.binds(list(wanted.stages), 'text[]')})")
    if wanted.segment is not None:
        made.narrow.append(f"c.customer_id IN ({MEMBERS.format(made.binds(wanted.segment, 'uuid'))})")
    made.held += made.narrow
    if wanted.rule is not None:
        made.narrow += _exact(wanted.rule, made.binds, computed)
        made.held.append(_held(wanted.rule, made.binds, now))
    return made


def value_of(key: str, binds: Binds) -> str:
    """SQL of what a row shows for a trait; what is computed wins."""
    if key in _OWN:
        return _OWN[key]
    named = binds(key, "text")
    return f"coalesce(c.computed -> {named}, c.traits -> {named})"


def number_of(path: str, binds: Binds) -> str:
    """SQL of a row's number at a trait's path without lists. Raises ValueError."""
    key, steps = trait_path(path)
    if any(step.each for step in steps):
        raise ValueError("must not pass through a list")
    value, _ = walk(value_of(key, binds), steps, binds)
    return number(f"({value})")


def _held(rule: Rule, binds: Binds, now: datetime) -> str:
    match rule:
        case AllOf():
            return f"({' AND '.join(_held(inner, binds, now) for inner in rule.rules)})"
        case AnyOf():
            return f"({' OR '.join(_held(inner, binds, now) for inner in rule.rules)})"
        case Not():
            return f"(NOT {_held(rule.rule, binds, now)})"
        case OnTrait() | OnElement():
            key, steps = trait_path(rule.trait if isinstance(rule, OnTrait) else rule.property)
            return condition_sql(rule, f"({value_of(key, binds)})", steps, binds, now, _clock(rule, binds, now))
        case InSegment():
            return f"(c.customer_id IN ({MEMBERS.format(binds(rule.segment, 'uuid'))}))"
        case Everyone():
            return "true"
        case OnEvent() | OnSequence() | InBucket():
            raise Unprocessable(
                "filter: a list asks for traits, tags, stages and segments; make a segment of what happened",
                code="invalid_filter",
                pointer="query/filter",
            )
    assert_never(rule)


def _clock(condition: OnTrait | OnElement, binds: Binds, now: datetime) -> Clock:
    """By the customer's own zone, where that matters."""
    zones = [own_zone(f"({value_of(key, binds)})", binds) for key in ZONES] if on_calendar(condition) else []
    return Clock(now, binds, deployment_zone(), f"coalesce({', '.join(zones)})" if zones else None)


def _exact(rule: Rule, binds: Binds, computed: Collection[str]) -> Iterator[str]:
    """Conditions that hold wherever the rule holds, and that the index of traits answers."""
    match rule:
        case AllOf():
            for inner in rule.rules:
                yield from _exact(inner, binds, computed)
        case InSegment():
            yield f"c.customer_id IN ({MEMBERS.format(binds(rule.segment, 'uuid'))})"
        case OnTrait():
            key, steps = trait_path(rule.trait)
            texts = _texts(rule)
            if texts and key not in computed and key not in _OWN and not any(step.each for step in steps):
                names = [key, *(step.name for step in steps if step.name)]
                documents = [json.dumps(_nested(names, said)) for said in texts]
                yield f"c.traits @> ANY({binds(documents, 'jsonb[]')})"


def _texts(condition: Condition) -> list[str]:
    """The texts one of which the value must be, letter by letter; none where a number or a truth may be meant."""
    said = condition.operand if condition.operator == "in" else [condition.operand]
    if condition.operator not in {"is", "in"} or not isinstance(said, list | tuple):
        return []
    plain = [one for one in said if isinstance(one, str) and one not in {"true", "false"} and as_number(one) is None]
    return plain if len(plain) == len(said) else []


def _nested(names: list[str], said: str) -> object:
    return {names[0]: _nested(names[1:], said)} if names else said
