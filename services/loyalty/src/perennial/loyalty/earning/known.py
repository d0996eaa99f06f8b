"""What is known of customers while their events are counted: held, then read once for a whole batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from uuid import UUID

from perennial.common import identity_map, rules
from perennial.common.db import ReadSession, WriteSession
from perennial.loyalty.earning import queries
from perennial.loyalty.earning.caps import Left, Use, caps_of, counted, window
from perennial.loyalty.earning.definition import EarnRule
from perennial.loyalty.earning.facts import Facts
from perennial.loyalty.programme.earning import Earner


@dataclass
class Known:
    """The customers of some identifiers; an identifier that the map does not know is a customer of its own."""

    owners: dict[UUID, UUID]
    tiers: Mapping[UUID, str] = field(default_factory=dict)
    birthdays: Mapping[UUID, str] = field(default_factory=dict)
    orders: dict[UUID, list[tuple[datetime, UUID]]] = field(default_factory=dict)
    uses: dict[UUID, list[Use]] = field(default_factory=dict)

    def facts(self, earner: Earner, facts: Facts) -> Facts:
        """The facts of an event with what is known of its customer; who has no tier yet has the lowest."""
        lowest = earner.programme.tiers[0].name if earner.by_tier else None
        return replace(facts, tier=self.tiers.get(facts.via, lowest), birthday=self.birthdays.get(facts.via))

    def first(self, via: UUID, at: datetime, order: UUID) -> bool:
        """Whether no other order of the customer that we know of was completed before."""
        others = self.orders.get(self.owner(via), ())
        return not any((other, key) < (at, order) for other, key in others if key != order)

    def owner(self, via: UUID) -> UUID:
        """Today's customer."""
        return self.owners.get(via, via)

    def room(self, earner: Earner, cause: UUID, facts: Facts) -> Left:
        """What a cause may still be given."""
        others = [use for use in self.uses.get(self.owner(facts.via), ()) if use.cause != cause]
        return Left(earner.programme, others, cause, facts.via, facts.day, subjects(earner, facts))

    def give(self, cause: UUID, via: UUID, made: Iterable[Use]) -> None:
        """Remember what a cause was given, instead of what it had."""
        uses = self.uses.setdefault(self.owner(via), [])
        uses[:] = [use for use in uses if use.cause != cause] + list(made)


def subjects(earner: Earner, facts: Facts) -> dict[str, str]:
    """What an event is about, by the rules that ask for it."""
    said = {rules.trait_key(key): value for key, value in facts.properties.items()}
    return {
        rule.name: _word(said.get(rules.trait_key(rule.subject)))
        for rule in earner.programme.earn_rules if rule.subject is not None
    }  # fmt: skip


def _word(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value).replace("\0", "")[:200]


async def hold(session: WriteSession, vias: Iterable[UUID]) -> None:
    """Hold customers until the transaction ends: what they have had stays so."""
    wanted = set(vias)
    owners = await identity_map.customers_of(session, wanted)
    await identity_map.lock_customers(session, {owners.get(via, via) for via in wanted})


async def know(session: ReadSession, earners: Sequence[Earner], vias: Collection[UUID]) -> Known:
    """What rules ask of the customers of identifiers; only what some version asks for is read."""
    together = any(earner.by_first_order or earner.limited for earner in earners)
    known = Known(await identity_map.customers_of(session, vias) if together else {})
    if any(earner.by_tier for earner in earners):
        known.tiers = await queries.tiers(session, vias)
    if any(earner.by_birthday for earner in earners):
        known.birthdays = await queries.birthdays(session, vias)
    if any(earner.by_first_order for earner in earners):
        for via, at, key in await queries.first_orders(session, await _all(session, known, vias)):
            known.orders.setdefault(known.owner(via), []).append((at, key))
    return known


async def remember(
    session: ReadSession, known: Known, earners: Sequence[Earner], vias: Collection[UUID], moments: Iterable[datetime],
    zone: tzinfo,
) -> None:  # fmt: skip
    """Read what rules with caps have given to the customers of identifiers, around the days of some events."""
    days = sorted({at.astimezone(zone).date() for at in moments})
    if days and any(earner.limited for earner in earners):
        first, last = _span(earners, days[0], days[-1])
        for use in await queries.uses(session, await _all(session, known, vias), first, last):
            known.uses.setdefault(known.owner(use.via), []).append(use)


def _span(earners: Sequence[Earner], first: date, last: date) -> tuple[date, date]:
    per = {cap.per for earner in earners for rule in _counted(earner) for cap in caps_of(rule)}
    per |= {cap.per for earner in earners for cap in earner.programme.earn_caps}
    return min(window(each, first)[0] for each in per), max(window(each, last)[1] for each in per)


def _counted(earner: Earner) -> list[EarnRule]:
    return [rule for rule in earner.programme.earn_rules if counted(earner.programme, rule)]


async def _all(session: ReadSession, known: Known, vias: Collection[UUID]) -> set[UUID]:
    """The identifiers and all others of their customers, which `known` learns as well."""
    for customer, others in (await identity_map.vias_of(session, set(known.owners.values()))).items():
        known.owners.update(dict.fromkeys(others, customer))
    return {*vias, *known.owners}
