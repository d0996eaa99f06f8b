"""Does a rule ask for what there is, and in a way that can ever hold? Against a catalogue of traits and events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches

from perennial.common.rules.calendar.zones import TRAITS as ZONES
from perennial.common.rules.grammar.criteria import Amount, Condition, Element, Property
from perennial.common.rules.grammar.nodes import AllOf, AnyOf, Not, OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.grammar.parsing import RuleError
from perennial.common.rules.values.paths import Step, parse_path, trait_key, trait_path
from perennial.common.rules.values.scalars import number

Types = Mapping[str, str | None]

_EQUAL = frozenset({"is", "is_not", "in", "not_in", "exists"})
_TEXT = _EQUAL | {"contains", "not_contains", "starts_with", "ends_with", "matches", "regex"}
_NUMBER = _EQUAL | {"gt", "gte", "lt", "lte", "between"}
_DATE = _EQUAL | {"before", "after", "within_last", "within_next", "within", "between", "birthday_within"}
OPERATORS: Mapping[str, frozenset[str]] = {
    "string": _TEXT,
    "enum": _TEXT,
    "number": _NUMBER,
    "boolean": _EQUAL,
    "date": _DATE,
    "datetime": _DATE,
    "list": frozenset({"contains", "not_contains", "exists"}),
    "geo": frozenset({"near", "exists"}),
    "object": frozenset({"exists"}),
    "money": frozenset({"exists"}),
}
ALWAYS: Types = {"tags": "list", "stage": "string"} | dict.fromkeys(ZONES, "string")


@dataclass(frozen=True, slots=True)
class Fields:
    """What can be asked about, each with its type: one of `OPERATORS`, or None where anything may be in it.

    `traits` by key; `events` by name, each with its properties by path, or None where nothing is known of them.
    None instead of either: all names go.
    """

    traits: Types | None = None
    events: Mapping[str, Types | None] | None = None


def check(rule: Rule, fields: Fields) -> None:
    """Raises RuleError at the first name that is unknown, or operator or operand that does not go with its type."""
    for pointer, message in _Check(fields).rule(rule, ""):
        raise RuleError(pointer, message)


Faults = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Check:
    fields: Fields

    def rule(self, rule: Rule, pointer: str) -> Faults:
        match rule:
            case AllOf() | AnyOf():
                name = "all" if isinstance(rule, AllOf) else "any"
                for index, inner in enumerate(rule.rules):
                    yield from self.rule(inner, f"{pointer}/{name}/{index}")
            case Not():
                yield from self.rule(rule.rule, f"{pointer}/not")
            case OnTrait() | OnElement():
                yield from self.trait(rule, pointer)
            case OnEvent():
                yield from self.event(rule, pointer)
            case OnSequence():
                for index, step in enumerate(rule.steps):
                    yield from self.happened(step.event, step.where, f"{pointer}/sequence/{index}")

    def trait(self, rule: OnTrait | OnElement, pointer: str) -> Faults:
        traits = self.fields.traits
        known = None if traits is None else {**ALWAYS, **{trait_key(key): of for key, of in traits.items()}}
        key, steps = trait_path(rule.trait if isinstance(rule, OnTrait) else rule.property)
        found = _find(key, steps, known, "trait")
        yield from _fits(rule, found, pointer, "trait") if isinstance(rule, OnTrait) else _listed(rule, found, pointer)

    def event(self, rule: OnEvent, pointer: str) -> Faults:
        yield from self.happened(rule.event, rule.where, pointer)
        for relation, other in rule.beside:
            yield from self.happened(other.event, other.where, f"{pointer}/{relation}")
        name, wanted = rule.measure
        known = None if self.fields.events is None else self.fields.events.get(rule.event)
        if isinstance(wanted, Amount):
            found = _property(wanted.property, known)
            if found.fault:
                yield f"{pointer}/{name}/property", found.fault
            elif name != "distinct" and found.type not in {None, "number"}:
                yield f"{pointer}/{name}/property", f"{wanted.property} is of type {found.type}: nothing to add up"

    def happened(self, name: str, where: Sequence[Property | Element], pointer: str) -> Faults:
        events = self.fields.events
        if events is not None and name not in events:
            yield f"{pointer}/event", _unknown(name, events, "event")
            return
        known = None if events is None else events[name]
        for index, item in enumerate(where):
            place = f"{pointer}/where/{index}"
            found = _property(item.property, known)
            yield from (
                _listed(item, found, place) if isinstance(item, Element) else _fits(item, found, place, "property")
            )


@dataclass(frozen=True, slots=True)
class _Found:
    type: str | None = None
    fault: str = ""


def _property(path: str, known: Types | None) -> _Found:
    if known is not None and path in known:
        return _Found(known[path])
    (head, *rest) = parse_path(path)
    heads: Types | None = None
    if known is not None:
        heads = {**{str(parse_path(name)[0].name): None for name in known}, **known}
    return _find(head.name or "", (Step(None, head.each), *rest), heads, "property")


def _find(name: str, steps: Sequence[Step], known: Types | None, what: str) -> _Found:
    if known is None:
        return _Found()
    if name not in known:
        return _Found(fault=_unknown(name, known, what))
    inside = len(steps) > 1 or steps[0].each
    if inside and known[name] not in {None, "list", "object", "money", "geo"}:
        return _Found(fault=f"there is nothing inside the {what} {name}, which is of type {known[name]}")
    return _Found(None if inside else known[name])


def _unknown(name: str, known: Mapping[str, object], what: str) -> str:
    spelled = {other.casefold(): other for other in known}
    near = get_close_matches(name.casefold(), spelled, n=1)
    return f"there is no {what} {name}" + (f"; did you mean {spelled[near[0]]}?" if near else "")


def _listed(element: Element, found: _Found, pointer: str) -> Faults:
    """What is inside the elements is not known."""
    if found.fault:
        yield f"{pointer}/{element.chosen('where')[0]}", found.fault


def _fits(condition: Condition, found: _Found, pointer: str, subject: str) -> Faults:
    operator, of = condition.operator, found.type
    if found.fault:
        yield f"{pointer}/{subject}", found.fault
    elif of is None:
        return
    elif operator not in OPERATORS[of]:
        goes = ", ".join(sorted(OPERATORS[of]))
        yield f"{pointer}/{operator}", f"does not go with the type {of}; these do: {goes}"
    elif operator != "exists":
        operand = condition.operand
        for item in operand if isinstance(operand, tuple) else (operand,):
            if not _comparable(of, operator, item):
                yield f"{pointer}/{operator}", f"must be of type {of}, as what it is compared with"
                return


def _comparable(of: str, operator: str, operand: object) -> bool:
    if operator == "between":
        return isinstance(operand, Decimal) if of == "number" else isinstance(operand, datetime)
    match of:
        case "number":
            return number(operand) is not None
        case "boolean":
            return isinstance(operand, bool) or operand in ("true", "false")
        case "string" | "enum":
            return isinstance(operand, str)
        case _:
            return True
