"""When the clock alone can change an answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from heapq import nsmallest
from typing import Any

from perennial.common.rules.calendars import Calendar
from perennial.common.rules.conditions import changes, on_calendar
from perennial.common.rules.criteria import Element, Property, When
from perennial.common.rules.evaluate import compile_rule
from perennial.common.rules.footprint import leaves
from perennial.common.rules.nodes import OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.paths import Step, parse_path, reader, trait_path
from perennial.common.rules.view import Occurrence, View
from perennial.common.rules.zones import LAST_YEAR, Localise, day_of, localiser

FAR = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
# A customer with very many events pays for this many evaluations; the timer then asks again.
MOST_TRIES = 32

Instants = Callable[[View, datetime], Iterator[datetime]]
Moments = Callable[[Occurrence, datetime], Iterable[datetime]]
Flip = Callable[[View, datetime], datetime | None]


def flips(rule: Rule, zone: tzinfo | None = None) -> Flip:
    """`next_flip` for one rule and many customers."""
    localise = localiser(zone)
    sources = [source for leaf in leaves(rule) if (source := _instants(leaf, localise))]
    holds = compile_rule(rule, zone)

    def find(view: View, now: datetime) -> datetime | None:
        ahead = {at for source in sources for at in source(view, now) if now < at <= FAR}
        if not ahead:
            return None
        answer = holds(view, now)
        first = nsmallest(MOST_TRIES, ahead)
        for at in first:
            if holds(view, at) != answer:
                return at
        return first[-1] if len(ahead) > MOST_TRIES else None

    return find


def next_flip(rule: Rule, view: View, now: datetime, zone: tzinfo | None = None) -> datetime | None:
    """The next instant at which the answer can change without a new fact; never too late, rarely too early."""
    return flips(rule, zone)(view, now)


def _instants(leaf: Rule, localise: Localise) -> Instants | None:
    match leaf:
        case OnTrait() | OnElement():
            return _trait_instants(leaf, localise)
        case OnEvent():
            return _event_instants(leaf, localise)
        case OnSequence():
            ends = [_leaves(leaf.within)] if leaf.within else []
            steps = [_moments(step.event, step.where, ends) for step in leaf.steps]
            return _all_of(steps, localise, local=isinstance(leaf.within, Calendar) or _dated(leaf.steps))
        case _:
            return None


def _trait_instants(leaf: OnTrait | OnElement, localise: Localise) -> Instants | None:
    key, (head, *rest) = trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)
    read, change = reader((Step(key, head.each), *rest)), changes(leaf)
    if change is None:
        return None
    local = on_calendar(leaf)

    def instants(view: View, now: datetime) -> Iterator[datetime]:
        here = localise(view, now) if local else now
        for value in read(view.traits):
            yield from change(value, here)

    return instants


def _event_instants(leaf: OnEvent, localise: Localise) -> Instants:
    """An occurrence begins to count at its time, leaves the window, or a date inside it comes."""
    wanted, beside = leaf.measure[1], leaf.beside
    ends: list[Moments] = [_leaves(leaf.within)] if leaf.within else []
    ends += [_leaves(other.within) for name, other in beside if name == "not_followed_by"]
    if isinstance(wanted, When) and (change := changes(wanted)):
        ends.append(lambda item, here: change(item.at, here))
    sources = [_moments(leaf.event, leaf.where, ends)]
    sources += [_moments(other.event, other.where, []) for _, other in beside]
    local = (
        isinstance(leaf.within, Calendar)
        or (isinstance(wanted, When) and on_calendar(wanted))
        or _dated([leaf, *(other for _, other in beside)])
    )
    return _all_of(sources, localise, local=local)


def _dated(parts: Sequence[Any]) -> bool:
    return any(on_calendar(item) for part in parts for item in part.where)


def _all_of(sources: Sequence[Instants], localise: Localise, *, local: bool) -> Instants:
    if len(sources) == 1 and not local:
        return sources[0]

    def instants(view: View, now: datetime) -> Iterator[datetime]:
        here = localise(view, now) if local else now
        for source in sources:
            yield from source(view, here)

    return instants


def _moments(name: str, where: Sequence[Property | Element], ends: Sequence[Moments]) -> Instants:
    """Of an event: its time, what follows from it, and the dates among its properties; `here` is in the zone."""
    dated = [(reader(parse_path(item.property)), on) for item in where if (on := changes(item))]

    if len(ends) == 1 and not dated:
        return _simple(name, ends[0])

    def instants(view: View, here: datetime) -> Iterator[datetime]:
        for item in view.events.get(name, ()):
            yield item.at
            for end in ends:
                yield from end(item, here)
            for read, on in dated:
                for value in read(item.properties):
                    yield from on(value, here)

    return instants


def _simple(name: str, end: Moments) -> Instants:
    def instants(view: View, here: datetime) -> Iterator[datetime]:
        for item in view.events.get(name, ()):
            yield item.at
            yield from end(item, here)

    return instants


def _leaves(within: timedelta | Calendar) -> Moments:
    """When an occurrence comes into a window and leaves it."""
    if isinstance(within, timedelta):
        return lambda item, _here: (item.at + within,) if item.at.year <= LAST_YEAR else ()
    reach = within.reach

    def instants(item: Occurrence, here: datetime) -> Iterable[datetime]:
        zone = here.tzinfo or UTC
        day = day_of(item.at, zone)
        return () if day is None else reach.turns(day, zone)

    return instants
