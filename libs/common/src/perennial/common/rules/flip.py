"""When the clock alone can change an answer."""

from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import nsmallest

from perennial.common.rules.conditions import changes
from perennial.common.rules.criteria import When
from perennial.common.rules.evaluate import compile_rule
from perennial.common.rules.footprint import leaves
from perennial.common.rules.nodes import OnEvent, OnTrait, Rule
from perennial.common.rules.paths import Step, parse_path, reader, trait_path
from perennial.common.rules.view import View

# A customer with very many events pays for this many evaluations; the timer then asks again.
MOST_TRIES = 32

Instants = Callable[[View], Iterator[datetime]]
Flip = Callable[[View, datetime], datetime | None]


def flips(rule: Rule) -> Flip:
    """`next_flip` for one rule and many customers."""
    sources = [source for leaf in leaves(rule) if (source := _instants(leaf))]
    holds = compile_rule(rule)

    def find(view: View, now: datetime) -> datetime | None:
        ahead = {at for source in sources for at in source(view) if at > now}
        if not ahead:
            return None
        answer = holds(view, now)
        first = nsmallest(MOST_TRIES, ahead)
        for at in first:
            if holds(view, at) != answer:
                return at
        return first[-1] if len(ahead) > MOST_TRIES else None

    return find


def next_flip(rule: Rule, view: View, now: datetime) -> datetime | None:
    """The next instant at which the answer can change without a new fact; never too late, rarely too early."""
    return flips(rule)(view, now)


def _instants(leaf: Rule) -> Instants | None:
    match leaf:
        case OnTrait():
            return _trait_instants(leaf)
        case OnEvent():
            return _event_instants(leaf)
        case _:
            return None


def _trait_instants(leaf: OnTrait) -> Instants | None:
    key, (head, *rest) = trait_path(leaf.trait)
    read, change = reader((Step(key, head.each), *rest)), changes(leaf)
    if change is None:
        return None
    return lambda view: (at for value in read(view.traits) for at in change(value))


def _event_instants(leaf: OnEvent) -> Instants:
    """An occurrence begins to count at its time, leaves the window, or a date inside it comes."""
    name, within = leaf.event, leaf.within
    wanted = leaf.measure[1]
    change = changes(wanted) if isinstance(wanted, When) else None
    dated = [(reader(parse_path(item.property)), on) for item in leaf.where if (on := changes(item))]

    def instants(view: View) -> Iterator[datetime]:
        for item in view.events.get(name, ()):
            yield item.at
            if within:
                yield item.at + within
            if change:
                yield from change(item.at)
            for read, on in dated:
                for value in read(item.properties):
                    yield from on(value)

    return instants
