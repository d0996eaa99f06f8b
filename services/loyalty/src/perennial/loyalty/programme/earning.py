"""What an order earns: the version in force when it happened, its rules, and the tier."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any
from uuid import UUID

from perennial.common import rules
from perennial.loyalty.programme.definition import EarnRule, Programme

EXACT = Context(prec=60, rounding=ROUND_FLOOR)  # floors what it must round; no sum of ours is that long
ONE = Decimal(1)


class Earner:
    """The earn rules of one version, with their conditions compiled."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.by_tier = any(rule.multipliers for rule in programme.earn_rules)
        self._rules = [(rule, _compiled(rule)) for rule in programme.earn_rules]

    def points(
        self, via: UUID, at: datetime, amount: Decimal | None, properties: Mapping[str, Any], tier: str | None
    ) -> dict[str, int]:
        """What an order worth `amount` earns, by currency: each rule's share rounded down, then added up."""
        if amount is None or amount <= 0:
            return {}
        view: rules.View | None = None
        total: dict[str, int] = {}
        for rule, holds in self._rules:
            if holds is not None:
                view = view or rules.View(via, {rules.trait_key(key): value for key, value in properties.items()})
                if not holds(view, at):
                    continue
            factor = rule.multipliers.get(tier or "", ONE)
            code = rule.currency or self.programme.main.code
            total[code] = total.get(code, 0) + int(EXACT.multiply(EXACT.multiply(amount, rule.points_per_unit), factor))
        return {code: points for code, points in total.items() if points}


def _compiled(rule: EarnRule) -> rules.Predicate | None:
    return None if rule.condition is None else rules.compile(rules.parse(rule.condition))


def in_force(earners: Sequence[Earner], at: datetime) -> Earner:
    """The version whose time an event falls into; the first one has been in force from the beginning."""
    for earner in reversed(earners):
        if earner.programme.valid_from is None or earner.programme.valid_from <= at:
            return earner
    return earners[0]
