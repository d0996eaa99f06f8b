"""Rules and masks: who asks a rule about a field that they do not see would learn it, answer by answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from perennial.common.auth import Principal
from perennial.common.masks.events import held
from perennial.common.masks.fields import PEOPLE, sees, sees_all, sees_property, snake
from perennial.common.masks.values import HIDDEN, value
from perennial.common.problems import FieldError, Forbidden
from perennial.common.rules.criteria import Amount, Property
from perennial.common.rules.nodes import AllOf, AnyOf, Not, OnEvent, OnTrait, Rule
from perennial.common.rules.paths import parse_path, trait_path

CODE = "field_masked"


def check_rule(principal: Principal, rule: Rule, pointer: str = "/rule") -> None:
    """Refuse a rule that compares what the principal does not see; whether it `exists` may be asked.

    Raises Forbidden with the code `field_masked`, naming every such field and where in the document it is read;
    `pointer` is where the rule stands in the request.
    """
    errors = [
        FieldError(pointer=where, detail=f"{field} is masked for you, so a rule cannot compare it", code=CODE)
        for where, field in _compared(principal, rule, pointer)
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
            return rule if _sees_trait(principal, rule.trait) else _veiled(rule)
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
    for subject, sees_it in (("trait", _sees_trait), ("property", _sees_path)):
        path = document.get(subject)
        if isinstance(path, str) and not _sees_quietly(sees_it, principal, path):
            return {key: _veil(key, inner, subject) for key, inner in document.items()}
    return {key: shown_conditions(principal, inner) for key, inner in document.items()}


def _sees_quietly(sees_it: Callable[[Principal, str], bool], principal: Principal, path: str) -> bool:
    try:
        return sees_it(principal, path)
    except ValueError:  # no path, so nothing that a rule could have been asked about
        return False


def _veil(key: str, held: Any, subject: str) -> Any:
    if key in {subject, "exists"}:
        return held
    return [HIDDEN] if isinstance(held, list) else HIDDEN


def compared_value(principal: Principal, rule: Rule, found: Any) -> Any:
    """What a leaf of a rule saw in a customer, for an explanation: a trait's value as the principal may see it."""
    if not isinstance(rule, OnTrait) or found is None or sees_all(principal):
        return found
    key, (_, *steps) = trait_path(rule.trait)
    last = next((step.name for step in reversed(steps) if step.name), key)
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
        case OnTrait() if rule.operator != "exists" and not _sees_trait(principal, rule.trait):
            yield f"{pointer}/trait", f"the trait {rule.trait}"
        case OnEvent():
            for where, read in _properties(rule):
                if not _sees_path(principal, read.property):
                    yield f"{pointer}/{where}/property", f"the property {read.property}"


def _properties(rule: OnEvent) -> Iterator[tuple[str, Property | Amount]]:
    for index, item in enumerate(rule.where):
        if item.operator != "exists":
            yield f"where/{index}", item
    name, wanted = rule.measure
    if isinstance(wanted, Amount):
        yield name, wanted


def _sees_trait(principal: Principal, path: str) -> bool:
    key, steps = trait_path(path)
    return _sees_within(principal, [key, *(step.name for step in steps if step.name)], of_person=True)


def _sees_path(principal: Principal, path: str) -> bool:
    return _sees_within(principal, [step.name for step in parse_path(path) if step.name], of_person=False)


def _sees_within(principal: Principal, names: Sequence[str], *, of_person: bool) -> bool:
    """As `traits` and `properties` show it: what an object of a person holds are traits."""
    for name in names:
        if not (sees if of_person else sees_property)(principal, name):
            return False
        of_person = snake(name) in PEOPLE
    return True


def _shown_event(principal: Principal, rule: OnEvent) -> OnEvent:
    where = tuple(item if _sees_path(principal, item.property) else _veiled(item) for item in rule.where)
    name, wanted = rule.measure
    changed: dict[str, object] = {"where": where}
    if isinstance(wanted, Amount) and not _sees_path(principal, wanted.property):
        changed[name] = wanted.model_copy(update=dict.fromkeys(wanted.chosen("property"), HIDDEN))
    return rule.model_copy(update=changed)


def _veiled(leaf: Any) -> Any:
    """A condition with its operand hidden; whether something exists is no secret."""
    name = leaf.operator
    if name == "exists":
        return leaf
    operand = (HIDDEN,) if isinstance(leaf.operand, tuple) else HIDDEN
    return leaf.model_copy(update={f"{name}_" if name in {"is", "in"} else name: operand})
