"""Rules and masks: who asks a rule about what they do not see would learn it, answer by answer.

It may be a field, or an address or a phone somewhere in a text that is shown but for it (`guesses`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from perennial.common.auth import Principal
from perennial.common.masks.events import IDS, held
from perennial.common.masks.fields import PEOPLE, sees, sees_all, sees_property, snake
from perennial.common.masks.guesses import tells
from perennial.common.masks.values import HIDDEN, value
from perennial.common.problems import FieldError, Forbidden
from perennial.common.rules.grammar.criteria import Amount, Condition, Element, Property
from perennial.common.rules.grammar.nodes import AllOf, AnyOf, Not, OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.values.paths import parse_path, trait_path

CODE = "field_masked"
_MASKED = " is masked for you, so a rule cannot compare it"
_GUESSED = (
    " may hold what is masked for you, so a rule cannot look into its text, nor compare it with an address or a phone;"
    " `is` and `in` may ask for other values, of a list's members by a path that ends in []"
)


def check_rule(principal: Principal, rule: Rule, pointer: str = "/rule") -> None:
    """Refuse a rule that compares what the principal does not see, or guesses at it; whether it `exists` may be asked.

    Raises Forbidden with the code `field_masked`, naming every such field and where in the document it is read;
    `pointer` is where the rule stands in the request.
    """
    errors = [
        FieldError(pointer=where, detail=detail, code=CODE) for where, detail in _compared(principal, rule, pointer)
    ]
    if errors:
        named = "; ".join(f"{error.pointer.strip('/')}: {error.detail}" for error in errors[:10])
        raise Forbidden(named, code=CODE, errors=errors)


def shown_rule(principal: Principal, rule: Rule) -> Rule:  # noqa: PLR0911 (one return per kind of node)
    """The rule to `dump` and `describe` for a principal: what it compares hidden fields with is hidden as well.

    The result is for showing only.
    """
    if sees_all(principal):
        return rule
    match rule:
        case AllOf() | AnyOf():
            return rule.model_copy(update={"rules": tuple(shown_rule(principal, inner) for inner in rule.rules)})
        case Not():
            return rule.model_copy(update={"rule": shown_rule(principal, rule.rule)})
        case OnTrait():
            return (
                _veiled(rule) if _hides(principal, rule, _names(rule.trait, of_person=True), of_person=True) else rule
            )
        case OnElement():
            return rule.model_copy(update=_shown_element(principal, rule, of_person=True))
        case OnEvent():
            return _shown_event(principal, rule)
        case OnSequence():
            steps = [step.model_copy(update={"where": _shown_where(principal, step.where)}) for step in rule.steps]
            return rule.model_copy(update={"steps": tuple(steps)})
        case _:
            return rule


def shown_conditions(principal: Principal, document: Any) -> Any:
    """The same for JSON with conditions at any depth: a rule, or a journey or an audited change with one in it."""
    return document if sees_all(principal) else _shown(principal, document, of_person=True)


def _shown(principal: Principal, document: Any, *, of_person: bool, above: str = "") -> Any:
    """`of_person`: a list is a trait's here; `above` is the path of the list whose elements are compared."""
    if isinstance(document, list):
        return [_shown(principal, inner, of_person=of_person, above=above) for inner in document]
    if not isinstance(document, Mapping):
        return document
    for subject in ("trait", "property"):
        path = document.get(subject)
        if isinstance(path, str):
            person = subject == "trait" or (of_person and bool(above))
            return {
                key: _veil(principal, (subject, above, path), person, key, found) for key, found in document.items()
            }
    for subject in ("any_of", "none_of"):
        path = document.get(subject)
        if isinstance(path, str):
            return {
                key: found if key == subject else _shown(principal, found, of_person=of_person, above=path)
                for key, found in document.items()
            }
    return {key: _shown(principal, found, of_person=of_person and key != "where") for key, found in document.items()}


def _veil(principal: Principal, subject: tuple[str, str, str], of_person: bool, key: str, found: Any) -> Any:  # noqa: FBT001
    name, above, path = subject
    if key in {name, "exists"}:
        return found
    try:
        names = _inside(above, path, of_person=of_person) if above else _names(path, of_person=of_person)
        hides = not _sees_within(principal, _read(names, key), of_person=of_person) or _tells(
            principal, names, key, found, of_person=of_person
        )
    except ValueError:  # no path, so nothing that a rule could have been asked about
        hides = True
    if not hides:
        return _shown(principal, found, of_person=of_person)
    return [HIDDEN] if isinstance(found, list) else HIDDEN


def compared_value(principal: Principal, rule: Rule, found: Any) -> Any:
    """What a leaf of a rule saw in a customer, for an explanation: a trait's value as the principal may see it."""
    if not isinstance(rule, OnTrait | OnElement) or found is None or sees_all(principal):
        return found
    names = _names(rule.trait if isinstance(rule, OnTrait) else rule.property, of_person=True)
    return held(principal, names[-1], found) if _sees_trait(principal, names) else value(names[-1], found)


def _compared(principal: Principal, rule: Rule, pointer: str) -> Iterator[tuple[str, str]]:
    if sees_all(principal):
        return
    match rule:
        case AllOf() | AnyOf():
            name = "all" if isinstance(rule, AllOf) else "any"
            for index, inner in enumerate(rule.rules):
                yield from _compared(principal, inner, f"{pointer}/{name}/{index}")
        case Not():
            yield from _compared(principal, rule.rule, f"{pointer}/not")
        case _:
            yield from _compared_leaf(principal, rule, pointer)


def _compared_leaf(principal: Principal, rule: Rule, pointer: str) -> Iterator[tuple[str, str]]:
    match rule:
        case OnTrait() if rule.operator != "exists":
            names = _names(rule.trait, of_person=True)
            if not _sees_trait(principal, _read(names, rule.operator)):
                yield f"{pointer}/trait", f"the trait {rule.trait}{_MASKED}"
            elif _tells(principal, names, rule.operator, rule.operand, of_person=True):
                yield f"{pointer}/{rule.operator}", f"the trait {rule.trait}{_GUESSED}"
        case OnElement():
            for read in _element(rule, pointer, of_person=True):
                yield from _faults(principal, read, of_person=True)
        case OnEvent() | OnSequence():
            for read in _properties(rule, pointer):
                yield from _faults(principal, read, of_person=False)


class _Read(NamedTuple):
    """What is compared: where in the request, by which names, and with what."""

    pointer: str
    said: str
    names: Sequence[str]
    part: Property | Amount


def _faults(principal: Principal, read: _Read, *, of_person: bool) -> Iterator[tuple[str, str]]:
    name = f"the {'trait' if of_person else 'property'} {read.said}"
    if not _sees_within(principal, read.names, of_person=of_person):
        yield f"{read.pointer}/property", f"{name}{_MASKED}"
        return
    for operator in _guesses(principal, read.part, read.names, of_person=of_person):
        yield f"{read.pointer}/{operator}", f"{name}{_GUESSED}"


def _guesses(principal: Principal, part: Property | Amount, names: Sequence[str], *, of_person: bool) -> list[str]:
    """The operators of a condition or of bounds that ask for more than is shown."""
    asked = (
        [(part.operator, part.operand)]
        if isinstance(part, Property)
        else [(name, getattr(part, name)) for name in part.chosen("property")]
    )
    return [name for name, operand in asked if _tells(principal, names, name, operand, of_person=of_person)]


def _tells(principal: Principal, names: Sequence[str], operator: str, operand: Any, *, of_person: bool) -> bool:
    *outer, last = names
    bare = of_person or snake(last) in IDS or any(snake(name) in PEOPLE for name in outer)
    return tells(principal, operator, operand, lambda said: held(principal, last, said, bare=bare))


def _names(path: str, *, of_person: bool) -> list[str]:
    if not of_person:
        return [step.name for step in parse_path(path) if step.name]
    key, steps = trait_path(path)
    return [key, *(step.name for step in steps if step.name)]


def _read(names: Sequence[str], operator: str) -> Sequence[str]:
    """What an operator reads: a place is known by its coordinates."""
    return [*names, "latitude"] if operator == "near" else names


def _inside(above: str, path: str, *, of_person: bool) -> list[str]:
    """The names to a property of a list's elements."""
    return [*_names(above, of_person=of_person), *_names(path, of_person=False)]


def _properties(rule: OnEvent | OnSequence, pointer: str) -> Iterator[_Read]:
    if isinstance(rule, OnSequence):
        for index, step in enumerate(rule.steps):
            yield from _where(step.where, f"{pointer}/sequence/{index}")
        return
    yield from _where(rule.where, pointer)
    for name, other in rule.beside:
        yield from _where(other.where, f"{pointer}/{name}")
    name, wanted = rule.measure
    if isinstance(wanted, Amount):
        yield _Read(f"{pointer}/{name}", wanted.property, _names(wanted.property, of_person=False), wanted)


def _where(where: Sequence[Property | Element], pointer: str) -> Iterator[_Read]:
    for index, item in enumerate(where):
        place = f"{pointer}/where/{index}"
        if isinstance(item, Element):
            yield from _element(item, place, of_person=False)
        elif item.operator != "exists":
            names = _names(item.property, of_person=False)
            yield _Read(place, item.property, _read(names, item.operator), item)


def _element(element: Element, pointer: str, *, of_person: bool) -> Iterator[_Read]:
    for index, item in enumerate(element.where):
        if item.operator != "exists":
            said = f"{element.property}.{item.property}"
            names = _inside(element.property, item.property, of_person=of_person)
            yield _Read(f"{pointer}/where/{index}", said, _read(names, item.operator), item)


def _sees_trait(principal: Principal, names: Sequence[str]) -> bool:
    return _sees_within(principal, names, of_person=True)


def _sees_within(principal: Principal, names: Sequence[str], *, of_person: bool) -> bool:
    """As `traits` and `properties` show it: what an object of a person holds are traits."""
    for name in names:
        if not (sees if of_person else sees_property)(principal, name):
            return False
        of_person = snake(name) in PEOPLE
    return True


def _shown_event(principal: Principal, rule: OnEvent) -> OnEvent:
    changed: dict[str, object] = {"where": _shown_where(principal, rule.where)}
    for relation, other in rule.beside:
        changed[relation] = other.model_copy(update={"where": _shown_where(principal, other.where)})
    name, wanted = rule.measure
    if isinstance(wanted, Amount):
        names = _names(wanted.property, of_person=False)
        seen = _sees_within(principal, names, of_person=False)
        veiled = _guesses(principal, wanted, names, of_person=False) if seen else wanted.chosen("property")
        changed[name] = wanted.model_copy(update=dict.fromkeys(veiled, HIDDEN))
    return rule.model_copy(update=changed)


def _shown_where(principal: Principal, where: Sequence[Property | Element]) -> tuple[Property | Element, ...]:
    return tuple(
        item.model_copy(update=_shown_element(principal, item, of_person=False))
        if isinstance(item, Element)
        else _veiled(item)
        if _hides(principal, item, _names(item.property, of_person=False), of_person=False)
        else item
        for item in where
    )


def _shown_element(principal: Principal, element: Element, *, of_person: bool) -> dict[str, Any]:
    where = tuple(
        _veiled(item)
        if _hides(principal, item, _inside(element.property, item.property, of_person=of_person), of_person=of_person)
        else item
        for item in element.where
    )
    return {"where": where}


def _hides(principal: Principal, leaf: Condition, names: Sequence[str], *, of_person: bool) -> bool:
    seen = _sees_within(principal, _read(names, leaf.operator), of_person=of_person)
    return not seen or _tells(principal, names, leaf.operator, leaf.operand, of_person=of_person)


def _veiled(leaf: Any) -> Any:
    """A condition with its operand hidden; whether something exists is no secret."""
    name = leaf.operator
    if name == "exists":
        return leaf
    operand = (HIDDEN,) if isinstance(leaf.operand, tuple) else HIDDEN
    return leaf.model_copy(update={f"{name}_" if name in {"is", "in"} else name: operand})
