"""The verb that keeps the facts that rules are asked over."""

from collections.abc import Iterable
from uuid import UUID

from perennial.common import commerce, orders
from perennial.common.contracts.hot import effective_traits, read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.derive import mark, mark_changes, mark_events
from perennial.common.identity_map import MapChange
from perennial.common.rules.facts import EventFact, TraitFact, record_events, record_traits
from perennial.common.rules.paths import trait_key
from perennial.segments.facts import queries
from perennial.segments.facts.queries import Defined, Said
from perennial.segments.rfm.standings.service import TRAIT

TAGS, STAGE = "tags", "stage"
OURS = frozenset({TRAIT, TAGS, STAGE})  # nobody says them of themselves
NAMELESS = {"page": "Page Viewed", "screen": "Screen Viewed"}


async def record(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Keep what was said, and have the customers computed again."""
    traits: list[TraitFact] = []
    facts: list[EventFact] = []
    kept_out = OURS
    if any(event.type == "identify" for event in events):
        kept_out |= await queries.computed_keys(session)
    for event in events:
        body = read_body(event.body)
        if event.type == "identify":
            said = effective_traits(body).items()
            traits += [
                TraitFact(event.via, key, value, event.timestamp, event.source, event.message_id)
                for key, value in said
                if trait_key(key) not in kept_out
            ]
        name = _name(event)
        if name is not None:
            facts.append(EventFact(event.id, event.via, name, event.timestamp, body.properties or {}))
    await record_traits(session, traits)
    await record_events(session, facts)
    if any(fact.name in commerce.ORDER_EVENTS for fact in facts):
        await orders.record(session, events)
    await mark_events(session, events)


def _name(event: ResolvedEvent) -> str | None:
    """The name under which rules find an event: a page view without a name is found as such."""
    if event.type == "track" and event.name:
        return commerce.canonical(event.name)
    return NAMELESS.get(event.type)


async def follow_map(session: WriteSession, changes: list[MapChange]) -> None:
    """A merge or a split moves no fact: both sides are computed again."""
    await queries.forget(session, {change.via for change in changes if change.via != change.after})
    await queries.show(session, {change.via for change in changes if change.via == change.after})
    await mark_changes(session, changes)


async def keep(session: WriteSession, said: Iterable[Said], live: set[UUID]) -> None:
    """Keep what profile works out of customers; of the `live` ones something live was the cause."""
    changed = await queries.keep(session, said)
    await mark(session, changed & live, live=True)
    await mark(session, changed - live, live=False, settle=True)


async def define(session: WriteSession, definitions: Iterable[Defined]) -> None:
    """Keep what traits there are, and of which types."""
    await queries.define(session, definitions)
