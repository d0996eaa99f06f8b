"""Dispatch rules and masks: whom a ticket goes to would tell what it was compared with."""

from collections.abc import Mapping
from typing import Any

from perennial.common import masks, prose
from perennial.common.auth import Principal
from perennial.common.masks import Sensitivity
from perennial.common.problems import FieldError, Forbidden
from perennial.common.rules.evaluation.footprint import placed
from perennial.common.rules.grammar.nodes import OnTrait, Rule
from perennial.tickets.types.sensitivity import of_path, sees

CODE = "field_masked"
Known = Mapping[str, Sensitivity]


def check(who: Principal, rule: Rule, fields: Known) -> None:
    """Raises Forbidden for a rule that compares what its author does not see; whether it exists may be asked."""
    errors = [
        FieldError(
            pointer=f"{pointer}/trait", detail=f"{leaf.trait} is masked for you, so a rule cannot compare it", code=CODE
        )
        for pointer, leaf in placed(rule, "/rule")
        if isinstance(leaf, OnTrait)
        and leaf.operator != "exists"
        and _hides(who, leaf.trait, leaf.operator, leaf.operand, fields)
    ]
    if errors:
        raise Forbidden("; ".join(error.detail for error in errors[:10]), code=CODE, errors=errors)


def shown(who: Principal, rule: Any, fields: Known) -> Any:
    """A rule as JSON without what the fields that somebody does not see are compared with."""
    if masks.sees_all(who):
        return rule
    if isinstance(rule, list):
        return [shown(who, inner, fields) for inner in rule]
    if not isinstance(rule, Mapping):
        return rule
    trait = rule.get("trait")
    if not isinstance(trait, str):
        return {name: shown(who, inner, fields) for name, inner in rule.items()}
    return {
        name: masks.HIDDEN if name not in {"trait", "exists"} and _hides(who, trait, name, held, fields) else held
        for name, held in rule.items()
    }


def _hides(who: Principal, trait: str, operator: str, operand: Any, fields: Known) -> bool:
    """Whether the field is hidden, or its text is shown but for what the operator would find in it."""
    if not sees(who, trait.rpartition(".")[2], of_path(trait, fields)):
        return True
    return masks.tells(who, operator, operand, lambda said: prose.masked(who, said))
