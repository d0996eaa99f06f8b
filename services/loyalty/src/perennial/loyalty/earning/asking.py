"""One earn rule asked about one event: whether it holds, and the points that makes before any cap."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property, reduce
from math import ceil, floor
from typing import Any, Literal, TypeVar

from perennial.common import commerce, rules
from perennial.common.commerce import ORDER_COMPLETED
from perennial.loyalty.earning.definition import EarnRule
from perennial.loyalty.earning.facts import EXACT, FINEST, Facts, Product, products

ONE, NOTHING = Decimal(1), Decimal(0)
MOST = 10**15  # of one rule for one event: sums of these fit into the ledger's integers
ROUNDING = {"floor": ROUND_FLOOR, "half_up": ROUND_HALF_UP, "ceiling": ROUND_CEILING}
Made = TypeVar("Made")
Line = tuple[Product, rules.View]
Because = Literal["holds", "condition", "first_order", "lines", "nothing", "group", "cap"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of an event: `units` × rate × `factors`, rounded, are `points`; or why there are none."""

    rule: EarnRule
    because: Because
    units: Decimal | Fraction = NOTHING
    factors: tuple[tuple[str, Decimal], ...] = ()
    points: int = 0


@dataclass(frozen=True)
class Asker:
    """A rule with its conditions compiled."""

    rule: EarnRule
    holds: rules.Predicate | None
    line_holds: rules.Predicate | None
    boosts: tuple[rules.Predicate, ...] = ()

    def ask(self, facts: Facts, view: Callable[[], rules.View], lines: Callable[[], list[Line]]) -> Verdict:
        """What the rule gives for an event; `view` makes what conditions read, `lines` its products."""
        rule = self.rule
        if rule.first_order and not facts.first_order:
            return Verdict(rule, "first_order")
        if self.holds is not None and not self.holds(view(), facts.at):
            return Verdict(rule, "condition")
        units = self._units(facts, lines)
        if units is None:
            return Verdict(rule, "lines")
        factors = tuple(self._factors(facts, view))
        points = _rounded(rule, units, factors)
        return Verdict(rule, "holds" if points else "nothing", units, factors, points)

    def _units(self, facts: Facts, lines: Callable[[], list[Line]]) -> Decimal | Fraction | None:
        """How many there are of what the rule counts; None when no line is one of the rule's."""
        per = self.rule.per
        if self.line_holds is None and per != "item":
            return ONE if per == "event" else facts.amount or NOTHING
        mine = all_lines = lines()
        if self.line_holds is not None:
            hold = self.line_holds
            mine = [line for line in all_lines if hold(line[1], facts.at)]
            if not mine:
                return None
        if per == "event":
            return ONE
        if per == "item":
            return _sum(product.quantity for product, _ in mine)
        whole, worth = _sum(product.worth for product, _ in all_lines), _sum(product.worth for product, _ in mine)
        amount = facts.amount
        if amount is None or amount >= whole or whole <= 0:
            return worth
        return Fraction(worth) * Fraction(amount) / Fraction(whole)

    def _factors(self, facts: Facts, view: Callable[[], rules.View]) -> Iterator[tuple[str, Decimal]]:
        tier = self.rule.multipliers.get(facts.tier or "")
        if tier is not None:
            yield facts.tier or "", tier
        held = [
            (boost.name, boost.factor)
            for boost, holds in zip(self.rule.boosts, self.boosts, strict=True)
            if holds(view(), facts.at)
        ]
        if held and self.rule.boosting == "best":
            held = [max(held, key=lambda item: item[1])]
        yield from held


def _sum(numbers: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, numbers, NOTHING)


def _rounded(rule: EarnRule, units: Decimal | Fraction, factors: tuple[tuple[str, Decimal], ...]) -> int:
    if units <= 0:
        return 0
    rate = rule.points_per_unit
    for _, factor in factors:
        rate = EXACT.multiply(rate, factor)
    if isinstance(units, Fraction):
        return min(MOST, _whole(units * Fraction(rate), rule.rounding))
    exact = EXACT.multiply(units, rate)
    if rule.rounding != "floor":  # int() is that, and quicker
        exact = exact.to_integral_value(ROUNDING[rule.rounding])
    return min(MOST, int(exact))


def _whole(value: Fraction, rounding: str) -> int:
    if rounding == "half_up":
        return floor(value + Fraction(1, 2))
    return ceil(value) if rounding == "ceiling" else floor(value)


@dataclass
class Asked:
    """The rules of one version for one event's name."""

    askers: tuple[Asker, ...]
    traits: frozenset[str] = field(default_factory=frozenset)
    members: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def plain(self) -> bool:
        """Whether the amount alone decides: then nothing else needs to be kept."""
        return not any(
            asker.holds or asker.line_holds or asker.boosts or asker.rule.capped or asker.rule.group
            or asker.rule.multipliers or asker.rule.per == "item" for asker in self.askers
        )  # fmt: skip

    def by_amount(self, amount: Decimal | None, main: str) -> dict[str, int]:
        """What plain rules give for an event, by currency; the same as by their verdicts, at a fraction of the time."""
        total: dict[str, int] = {}
        for asker in self.askers:
            rule = asker.rule
            points = _rounded(rule, ONE if rule.per == "event" else amount or NOTHING, ())
            if points:
                code = rule.currency or main
                total[code] = total.get(code, 0) + points
        return total

    def verdicts(self, facts: Facts) -> list[Verdict]:
        """What every rule says; what they read is made once, when the first one asks for it."""
        view = _once(facts.view)
        lines = _once(lambda: [(each, facts.about(each.members, {})) for each in products(facts.properties)])
        return [asker.ask(facts, view, lines) for asker in self.askers]


def _once(make: Callable[[], Made]) -> Callable[[], Made]:
    made: list[Made] = []  # functools.cache would cost a tenth of the order

    def get() -> Made:
        if not made:
            made.append(make())
        return made[0]

    return get


def asked(earn_rules: list[EarnRule]) -> dict[str, Asked]:
    """The rules by the name of the event that they are about."""
    found: dict[str, list[EarnRule]] = {}
    for rule in earn_rules:
        found.setdefault(rule.event, []).append(rule)
    return {name: _asked(items) for name, items in found.items()}


def _asked(items: list[EarnRule]) -> Asked:
    conditions = [
        condition
        for rule in items
        for condition in (rule.condition, *(boost.condition for boost in rule.boosts))
        if condition is not None
    ]
    lines = [rule.lines for rule in items if rule.lines is not None]
    traits = {key for condition in conditions for key in rules.footprint(rules.parse(condition)).traits}
    members = {key for condition in lines for key in rules.footprint(rules.parse(condition)).traits}
    members |= {rules.trait_key(name) for item in conditions for name in _members(item)}
    members |= {"quantity" for rule in items if rule.per == "item"}
    traits |= {rules.trait_key(rule.subject) for rule in items if rule.subject}
    return Asked(tuple(_asker(rule) for rule in items), frozenset(traits), frozenset(members))


def _members(condition: Any) -> Iterator[str]:
    """The members of products that an order's condition reads: `products[].brand`, or conditions on one element."""
    if isinstance(condition, Mapping):
        for said in condition.values():
            if isinstance(said, str) and said.startswith("products[]."):
                yield said.split(".")[1].removesuffix("[]")
        if any(str(condition.get(way, "")).removesuffix("[]") == "products" for way in ("any_of", "none_of")):
            yield from (str(item.get("property", "")).split(".")[0] for item in condition.get("where", ()))
        condition = list(condition.values())
    if isinstance(condition, list):
        for inner in condition:
            yield from _members(inner)


def _asker(rule: EarnRule) -> Asker:
    return Asker(
        rule, _compiled(rule.condition), _compiled(rule.lines),
        tuple(rules.compile(rules.parse(boost.condition)) for boost in rule.boosts),
    )  # fmt: skip


def _compiled(condition: dict[str, Any] | None) -> rules.Predicate | None:
    return None if condition is None else rules.compile(rules.parse(condition))


def worth_of(name: str, properties: Mapping[str, Any]) -> Decimal | None:
    """What an event other than an order is worth: as an order's, else its `value`."""
    found = commerce.amount(properties)
    if found is not None or name == ORDER_COMPLETED:
        return found
    value = commerce.decimal(properties.get("value"))
    return None if value is None else value.quantize(FINEST, context=EXACT)  # as a fraction 1e-999999999 has no end
