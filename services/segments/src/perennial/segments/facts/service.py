"""The verb that keeps the facts that rules are asked over."""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from perennial.common import commerce, orders
from perennial.common.beside import beside
from perennial.common.contracts.hot import effective_traits, raw_properties, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.derive import ANYTHING, mark, mark_changes, mark_each, mark_events, spell
from perennial.common.identity_map import MapChange
from perennial.common.rules.facts import EventFact, TraitFact, record_events, record_traits
from perennial.common.rules.values.paths import trait_key
from perennial.segments.facts import concerns, queries
from perennial.segments.facts.queries import Defined, Said
from perennial.segments.rfm.standings.service import TRAIT

TAGS, STAGE = "tags", "stage"
OURS = frozenset({TRAIT, TAGS, STAGE})  # nobody says them of themselves
NAMELESS = {"page": "Page Viewed", "screen": "Screen Viewed"}


async def record(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Keep what was said, and have the customers computed again for the segments that it concerns."""
    traits: list[TraitFact] = []
    facts: list[EventFact] = []
    about: dict[int, set[str]] = {event.via.int: set() for event in events}
    kept_out = OURS
    if any(event.type == "identify" for event in events):
        kept_out |= await queries.computed_keys(session)
    for event in events:
        concern = about[event.via.int]
        if event.type == "identify":
            said = _said(event, effective_traits(read_body(event.body)), kept_out)
            traits += said
            concern.update(concerns.of_trait(trait.key) for trait in said)
        name = _name(event)
        if name is not None:
            facts.append(EventFact(event.id, event.via, name, event.timestamp, raw_properties(event.body)))
            concern.add(concerns.of_event(name))
            if name in commerce.ORDER_EVENTS:
                concern |= concerns.ORDERS

    async def fold() -> list[orders.Order]:
        return orders.fold(events) if any(fact.name in commerce.ORDER_EVENTS for fact in facts) else []

    _, folded = await beside(record_traits(session, traits), fold)
    await record_events(session, facts)
    if folded:
        await _record_orders(session, folded, live=any(event.live for event in events))
    await mark_events(session, events, about)


def _said(event: ResolvedEvent, traits: Mapping[str, object], kept_out: Collection[str]) -> list[TraitFact]:
    said = ((trait_key(key), value) for key, value in traits.items())
    return [
        TraitFact(event.via, key, value, event.timestamp, event.source, event.message_id)
        for key, value in said
        if key not in kept_out
    ]


async def _record_orders(session: WriteSession, folded: list[orders.Order], *, live: bool) -> None:
    """They may change orders of other identifiers: a shop's server tells a refund, or who was first."""
    buyers = await queries.other_buyers(session, folded)
    await orders.write(session, folded)
    buyers |= await queries.other_buyers(session, folded)
    await mark(session, buyers, live=live, concern=spell(concerns.ORDERS))


def _name(event: ResolvedEvent) -> str | None:
    """The name under which rules find an event: a page view without a name is found as such."""
    if event.type == "track" and event.name:
        return commerce.canonical(event.name)
    return NAMELESS.get(event.type)


async def follow_map(session: WriteSession, changes: list[MapChange]) -> None:
    """A merge or a split moves no fact: both sides are computed again."""
    await queries.forget(session, {change.via for change in changes if change.via != change.after})
    await queries.show(session, {change.via for change in changes if change.via == change.after})
    await mark_changes(session, changes, ANYTHING)


async def keep(session: WriteSession, said: Iterable[Said], live: set[UUID]) -> None:
    """Keep what profile works out of customers; of the `live` ones something live was the cause.

    A customer is computed again for what is another value now, and by nothing else of whoever else is in the batch.
    """
    news = await queries.keep(session, said)
    about = {customer: frozenset(map(concerns.of_trait, keys)) for customer, keys in news.items()}
    await mark_each(session, {key: concern for key, concern in about.items() if key in live}, live=True)
    late = {key: concern for key, concern in about.items() if key not in live}
    await mark_each(session, late, live=False, settle=True)


async def define(session: WriteSession, definitions: Iterable[Defined]) -> None:
    """Keep what traits there are, and of which types."""
    await queries.define(session, definitions)
