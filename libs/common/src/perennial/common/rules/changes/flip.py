"""When the clock alone can change an answer."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from heapq import nsmallest
from operator import attrgetter
from typing import Any, Protocol

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.calendar.zones import LAST_YEAR, Localise, day_of, localiser
from perennial.common.rules.changes.rolling import rolling_alone, still
from perennial.common.rules.evaluation.conditions import bounds, changes, on_calendar, passes
from perennial.common.rules.evaluation.evaluate import compile_rule
from perennial.common.rules.evaluation.events import happened, sums
from perennial.common.rules.evaluation.footprint import leaves
from perennial.common.rules.evaluation.sequences import chains, completed
from perennial.common.rules.grammar.criteria import Amount, Bounds, Element, Property, When
from perennial.common.rules.grammar.nodes import OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.values.paths import Step, parse_path, reader, trait_path
from perennial.common.rules.view import Occurrence, View

FAR = datetime(LAST_YEAR, 1, 1, tzinfo=UTC)
BEYOND = FAR + timedelta(microseconds=1)
# A customer with very many events pays for this many evaluations; the timer then asks again.
MOST_TRIES = 32

Instants = Callable[[View, datetime], Iterable[datetime]]
Moments = Callable[[Occurrence, datetime], Iterable[datetime]]
Ends = Callable[[View, datetime], Iterable[Occurrence]]
_at = attrgetter("at")


class Flip(Protocol):
    """`next_flip` for one rule and many customers; whoever knows what holds now says so.

    With `until`, only what comes before it is of interest.
    """

    def __call__(
        self,
        view: View,
        now: datetime,
        answer: bool | None = None,  # noqa: FBT001 (an answer)
        until: datetime | None = None,
    ) -> datetime | None:
        """Of one customer."""


def timed(rule: Rule) -> bool:
    """Whether the clock alone can change anybody's answer."""
    localise = localiser(None)
    return any(_instants(leaf, localise) for leaf in leaves(rule))


def flips(rule: Rule, zone: tzinfo | None = None) -> Flip:
    """`next_flip` for one rule and many customers."""
    localise = localiser(zone)
    sources = [source for leaf in leaves(rule) if (source := _instants(leaf, localise))]
    holds, rolling = compile_rule(rule, zone), rolling_alone(rule)

    def find(
        view: View,
        now: datetime,
        answer: bool | None = None,  # noqa: FBT001 (see above)
        until: datetime | None = None,
    ) -> datetime | None:
        if until is not None and rolling is not None and still(view.events, rolling, now, until):
            return None
        stop = until or BEYOND
        ahead = {at for source in sources for at in source(view, now) if now < at < stop}
        if not ahead:
            return None
        if answer is None:
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
            rolling = _rolls(leaf.within, ends)
            steps = [_moments(step.event, step.where, ends, rolling) for step in leaf.steps]
            every = _all_of(steps, localise, local=isinstance(leaf.within, Calendar) or _dated(leaf.steps))
            ages = any(changes(item) for step in leaf.steps for item in step.where)
            return _chained(leaf, rolling, every) if rolling and not ages else every
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
    rolling = _rolls(leaf.within, ends)
    sources = [_moments(leaf.event, leaf.where, ends, rolling)]
    if rolling and not beside and leaf.measure[0] in _TOLD and not any(changes(item) for item in leaf.where):
        sources = [_measured(leaf, rolling, sources[0])]
    sources += [_moments(other.event, other.where, []) for _, other in beside]
    local = (
        isinstance(leaf.within, Calendar)
        or (isinstance(wanted, When) and on_calendar(wanted))
        or _dated([leaf, *(other for _, other in beside)])
    )
    return _all_of(sources, localise, local=local)


def _rolls(within: timedelta | Calendar | None, ends: Sequence[Moments]) -> timedelta | None:
    return within if isinstance(within, timedelta) and len(ends) == 1 else None


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


def _moments(
    name: str, where: Sequence[Property | Element], ends: Sequence[Moments], rolling: timedelta | None = None
) -> Instants:
    """Of an event: its time, what follows from it, and the dates among its properties; `here` is in the zone.

    `rolling`: nothing follows but that it leaves this window.
    """
    dated = [(reader(parse_path(item.property)), on) for item in where if (on := changes(item))]

    if rolling and not dated:
        return _rolling(name, rolling)
    if not ends and not dated:
        return _coming(name)

    def instants(view: View, here: datetime) -> Iterator[datetime]:
        for item in view.events.get(name, ()):
            yield item.at
            for end in ends:
                yield from end(item, here)
            for read, on in dated:
                for value in read(item.properties):
                    yield from on(value, here)

    return instants


def _rolling(name: str, within: timedelta) -> Instants:
    """What has left the window already comes back no more; what is in it leaves, what is to come does both."""

    def instants(view: View, now: datetime) -> Iterable[datetime]:
        found = view.events.get(name)
        if not found:
            return ()
        start = bisect_right(found, now - within, key=_at)
        ahead = bisect_right(found, now, lo=start, key=_at)
        ends = [item.at + within for item in found[start:] if item.at.year <= LAST_YEAR]
        return ends if ahead == len(found) else [*ends, *(item.at for item in found[ahead:])]

    return instants


def _coming(name: str) -> Instants:
    def instants(view: View, now: datetime) -> Iterable[datetime]:
        found = view.events.get(name)
        if not found or found[-1].at <= now:
            return ()
        return [item.at for item in found[bisect_right(found, now, key=_at) :]]

    return instants


def _chained(leaf: OnSequence, within: timedelta, every: Instants) -> Instants:
    """A sequence ends when the chain that began last leaves the window, as long as nothing is to come."""
    reach, names = chains(leaf), [step.event for step in leaf.steps]

    def instants(view: View, now: datetime) -> Iterable[datetime]:
        known = [view.events.get(name) for name in names]
        if any(found and found[-1].at > now for found in known):
            return every(view, now)
        if not all(known):
            return ()
        reached = reach(view, now)
        return [reached[-1].began[place] + within for place in completed(leaf, reached)[-1:]]

    return instants


def _measured(leaf: OnEvent, within: timedelta, every: Instants) -> Instants:
    """Of a count or a sum only the instants at which it passes a bound, as long as nothing is to come."""
    ends = _TOLD[leaf.measure[0]](leaf, leaf.measure[1])

    def instants(view: View, now: datetime) -> Iterable[datetime]:
        known = view.events.get(leaf.event)
        if not known:
            return ()
        if known[-1].at > now:
            return every(view, now)
        return [item.at + within for item in ends(view, now)]

    return instants


def _counts(leaf: OnEvent, wanted: Bounds) -> Ends:
    edges, find = passes(wanted), happened(leaf.event, leaf.within, leaf.where)

    def ends(view: View, now: datetime) -> Iterable[Occurrence]:
        found = find(view, now)
        return [found[-edge] for edge in edges if edge <= len(found)]

    return ends


def _sums(leaf: OnEvent, wanted: Amount) -> Ends:
    """From the newest back: with and without each, does it answer the same."""
    hold, find, added = bounds(wanted), happened(leaf.event, leaf.within, leaf.where), sums(leaf, wanted)
    nothing = hold(Decimal(), 1)

    def ends(view: View, now: datetime) -> Iterator[Occurrence]:
        answer = nothing
        for item, total in zip(reversed(find(view, now)), added(view, now), strict=True):
            if hold(total, 1) != answer:
                answer = not answer
                yield item

    return ends


_TOLD: dict[str, Callable[..., Ends]] = {"count": _counts, "sum": _sums}


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
