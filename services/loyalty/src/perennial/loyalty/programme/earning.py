"""The earn rules of the programme's versions, and which version an event falls under."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from perennial.loyalty.earning.asking import Asked, Verdict, asked
from perennial.loyalty.earning.caps import counted
from perennial.loyalty.earning.choosing import Room, chosen
from perennial.loyalty.earning.facts import Facts, kept
from perennial.loyalty.programme.definition import Programme


class Earner:
    """The earn rules of one version, with their conditions compiled."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.since = programme.valid_from
        self.by_event = asked(programme.earn_rules)

    def _reads(self, *names: str) -> bool:
        return any(not item.traits.isdisjoint(names) for item in self.by_event.values())

    @cached_property
    def by_tier(self) -> bool:
        """Whether the customer's tier matters."""
        return any(rule.multipliers for rule in self.programme.earn_rules) or self._reads("$tier")

    @cached_property
    def by_birthday(self) -> bool:
        """Whether the customer's birthday matters."""
        return self._reads("$birthday", "$birthday_month", "$birthday_days")

    @cached_property
    def by_first_order(self) -> bool:
        """Whether it matters which order was the customer's first."""
        return any(rule.first_order for rule in self.programme.earn_rules)

    @cached_property
    def limited(self) -> bool:
        """Whether what a customer has had bounds what is given."""
        return any(counted(self.programme, rule) for rule in self.programme.earn_rules)

    @cached_property
    def guarded(self) -> bool:
        """Whether the customer must be held while an order is accounted for."""
        policies = {currency.refund_policy for currency in self.programme.currencies}
        return self.limited or policies != {"unlimited"}

    def plain(self, name: str) -> bool:
        """Whether the amount alone tells what an event of that name gives."""
        rules = self.by_event.get(name)
        return not self.limited and (rules is None or rules.plain)

    def by_amount(self, name: str, amount: Decimal | None) -> dict[str, int]:
        """What an event gives of which the amount alone tells it, by currency."""
        rules = self.by_event.get(name)
        return {} if rules is None else rules.by_amount(amount, self.programme.main.code)

    def choose(self, verdicts: Sequence[Verdict], room: Room | None = None) -> list[Verdict]:
        """What counts of the rules that hold, within what caps leave."""
        return chosen(verdicts, self.programme.main.code, room or Room())

    def told(self, name: str, facts: Facts, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        """What has to be kept of an event, to grant it its points later and to explain them."""
        rules = self.by_event.get(name) or Asked(())
        claims = {verdict.rule.name: verdict.points for verdict in verdicts if verdict.points}
        return {"version": self.programme.version, "claims": claims, **kept(facts, rules.traits, rules.members)}

    def claimed(self, claims: Mapping[str, int], *, first: bool = True) -> list[Verdict]:
        """Verdicts as they were when they were told, of an order that is the customer's first or not."""
        return [
            Verdict(rule, "holds", points=claims[rule.name])
            for rule in self.programme.earn_rules
            if rule.name in claims and (first or not rule.first_order)
        ]


def in_force(earners: Sequence[Earner], at: datetime) -> Earner:
    """The version whose time an event falls into; the first one has been in force from the beginning."""
    for earner in reversed(earners):
        if earner.since is None or earner.since <= at:
            return earner
    return earners[0]
