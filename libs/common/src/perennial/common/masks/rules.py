"""Rules and masks: who asks a rule about what they do not see would learn it, answer by answer.

It may be a field, or an address or a phone somewhere in a text that is shown but for it (`guesses`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perennial.common.auth import Principal
from perennial.common.masks.events import IDS, held
from perennial.common.masks.fields import PEOPLE, sees, sees_all, sees_property, snake
from perennial.common.masks.guesses import tells
from perennial.common.masks.values import HIDDEN, value
from perennial.common.problems import FieldError, Forbidden
from perennial.common.rules.criteria import Amount, Condition, Property
from perennial.common.rules.nodes import AllOf, AnyOf, Not, OnEvent, OnTrait, Rule
from perennial.common.rules.paths import parse_path, trait_path

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


def shown_rule(principal: Principal, rule: Rule) -> Rule:
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
            return _veiled(rule) if _hides(principal, rule, rule.trait, of_person=True) else rule
        case OnEvent():
            return _shown_event(principal, rule)
        case _:
            return rule


def shown_conditions(principal: Principal, document: Any) -> Any:
    """The same for JSON with conditions at any depth: a rule, or a journey or an audited change with one in it."""
    if sees_all(principal):
        return document
    if isinstance(document, list):
        return [shown_conditions(principal, inner) for inner in document]
    if not isinstance(document, Mapping):
        return document
    for subject in ("trait", "property"):
        path = document.get(subject)
        if isinstance(path, str):
            return {key: _veil(principal, subject, path, key, inner) for key, inner in document.items()}
    return {key: shown_conditions(principal, inner) for key, inner in document.items()}


def _veil(principal: Principal, subject: str, path: str, key: str, found: Any) -> Any:
    if key in {subject, "exists"}:
        return found
    of_person = subject == "trait"
    try:
        hides = not (_sees_trait if of_person else _sees_path)(principal, path) or _tells(
            principal, path, key, found, of_person=of_person
        )
    except ValueError:  # no path, so nothing that a rule could have been asked about
        hides = True
    if not hides:
        return shown_conditions(principal, found)
    return [HIDDEN] if isinstance(found, list) else HIDDEN


def compared_value(principal: Principal, rule: Rule, found: Any) -> Any:
    """What a leaf of a rule saw in a customer, for an explanation: a trait's value as the principal may see it."""
    if not isinstance(rule, OnTrait) or found is None or sees_all(principal):
        return found
    last = _names(rule.trait, of_person=True)[-1]
    return held(principal, last, found) if _sees_trait(principal, rule.trait) else value(last, found)


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
        case OnTrait() if rule.operator != "exists":
            if not _sees_trait(principal, rule.trait):
                yield f"{pointer}/trait", f"the trait {rule.trait}{_MASKED}"
            elif _tells(principal, rule.trait, rule.operator, rule.operand, of_person=True):
                yield f"{pointer}/{rule.operator}", f"the trait {rule.trait}{_GUESSED}"
        case OnEvent():
            yield from _compared_event(principal, rule, pointer)


def _compared_event(principal: Principal, rule: OnEvent, pointer: str) -> Iterator[tuple[str, str]]:
    for where, read in _properties(rule):
        name = f"the property {read.property}"
        if not _sees_path(principal, read.property):
            yield f"{pointer}/{where}/property", f"{name}{_MASKED}"
        else:
            for operator in _guesses(principal, read):
                yield f"{pointer}/{where}/{operator}", f"{name}{_GUESSED}"


def _guesses(principal: Principal, read: Property | Amount) -> list[str]:
    """The operators of a condition or of bounds that ask for more than is shown."""
    asked = (
        [(read.operator, read.operand)]
        if isinstance(read, Property)
        else [(name, getattr(read, name)) for name in read.chosen("property")]
    )
    return [name for name, operand in asked if _tells(principal, read.property, name, operand, of_person=False)]


def _tells(principal: Principal, path: str, operator: str, operand: Any, *, of_person: bool) -> bool:
    *outer, last = _names(path, of_person=of_person)
    bare = of_person or snake(last) in IDS or any(snake(name) in PEOPLE for name in outer)
    return tells(principal, operator, operand, lambda said: held(principal, last, said, bare=bare))


def _names(path: str, *, of_person: bool) -> list[str]:
    if not of_person:
        return [step.name for step in parse_path(path) if step.name]
    key, steps = trait_path(path)
    return [key, *(step.name for step in steps if step.name)]


def _properties(rule: OnEvent) -> Iterator[tuple[str, Property | Amount]]:
    for index, item in enumerate(rule.where):
        if item.operator != "exists":
            yield f"where/{index}", item
    name, wanted = rule.measure
    if isinstance(wanted, Amount):
        yield name, wanted


def _sees_trait(principal: Principal, path: str) -> bool:
    return _sees_within(principal, _names(path, of_person=True), of_person=True)


def _sees_path(principal: Principal, path: str) -> bool:
    return _sees_within(principal, _names(path, of_person=False), of_person=False)


def _sees_within(principal: Principal, names: Sequence[str], *, of_person: bool) -> bool:
    """As `traits` and `properties` show it: what an object of a person holds are traits."""
    for name in names:
        if not (sees if of_person else sees_property)(principal, name):
            return False
        of_person = snake(name) in PEOPLE
    return True


def _shown_event(principal: Principal, rule: OnEvent) -> OnEvent:
    where = tuple(
        _veiled(item) if _hides(principal, item, item.property, of_person=False) else item for item in rule.where
    )
    name, wanted = rule.measure
    changed: dict[str, object] = {"where": where}
    if isinstance(wanted, Amount):
        seen = _sees_path(principal, wanted.property)
        veiled = _guesses(principal, wanted) if seen else wanted.chosen("property")
        changed[name] = wanted.model_copy(update=dict.fromkeys(veiled, HIDDEN))
    return rule.model_copy(update=changed)


def _hides(principal: Principal, leaf: Condition, path: str, *, of_person: bool) -> bool:
    seen = (_sees_trait if of_person else _sees_path)(principal, path)
    return not seen or _tells(principal, path, leaf.operator, leaf.operand, of_person=of_person)


def _veiled(leaf: Any) -> Any:
    """A condition with its operand hidden; whether something exists is no secret."""
    name = leaf.operator
    if name == "exists":
        return leaf
    operand = (HIDDEN,) if isinstance(leaf.operand, tuple) else HIDDEN
    return leaf.model_copy(update={f"{name}_" if name in {"is", "in"} else name: operand})
