"""Events in memory: which occurrences count for a rule, and what they measure."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import reduce
from operator import attrgetter
from typing import cast

from perennial.common.rules.calendar.windows import Calendar, windows
from perennial.common.rules.calendar.zones import deployment_zone, localiser
from perennial.common.rules.evaluation.conditions import Timed, affirmative, bounds, check, on_calendar, time_check
from perennial.common.rules.evaluation.memory import remembered, shared
from perennial.common.rules.grammar.criteria import Amount, Beside, Bounds, Condition, Element, Property, When
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.values.paths import Step, parse_path, reader
from perennial.common.rules.values.scalars import EXACT, number, text
from perennial.common.rules.view import Occurrence, View

Found = Sequence[Occurrence]
Occurred = Callable[[View, datetime], Found]
Keep = Callable[[Found, View, datetime], Found]
Match = Callable[[object, datetime], bool]
Measure = Callable[[Found, datetime], bool]

_at = attrgetter("at")


def occurred(rule: OnEvent, zone: tzinfo | None = None) -> Occurred:
    """The occurrences that count: in the window, with the properties wanted, beside the other events wanted."""
    find = happened(rule.event, rule.within, rule.where, zone)
    beside = [_beside(name, other, zone) for name, other in rule.beside]
    if not beside:
        return find

    def find_beside(view: View, now: datetime) -> Found:
        found = find(view, now)
        for keep in beside:
            if not found:
                break
            found = keep(found, view, now)
        return found

    return find_beside


def happened(
    name: str,
    within: timedelta | Calendar | None,
    where: Sequence[Property | Element],
    zone: tzinfo | None = None,
) -> Occurred:
    """The occurrences in `now - within < at <= now`, or in a calendar window, with the properties wanted."""
    return shared(_key(name, within, where, zone), lambda: remembered(_happened(name, within, where, zone)))


def times(
    name: str, within: timedelta | Calendar | None, where: Sequence[Property | Element], zone: tzinfo | None = None
) -> Callable[[View, datetime], list[datetime]]:
    """When each of these occurrences was."""
    find = happened(name, within, where, zone)
    key = ("times", *_key(name, within, where, zone))
    return shared(key, lambda: remembered(lambda view, now: [item.at for item in find(view, now)]))


def sums(rule: OnEvent, wanted: Amount, zone: tzinfo | None = None) -> Callable[[View, datetime], list[Decimal]]:
    """Sums of a property: of the newest of the occurrences, of the two newest, and so on, whatever is beside them."""
    find = happened(rule.event, rule.within, rule.where, zone)
    key = ("sums", *_key(rule.event, rule.within, rule.where, zone), wanted.property)
    return shared(key, lambda: remembered(_sums(find, wanted)))


def _sums(find: Occurred, wanted: Amount) -> Callable[[View, datetime], list[Decimal]]:
    read = reader(parse_path(wanted.property))

    def added(view: View, now: datetime) -> list[Decimal]:
        total, found = Decimal(), []
        for item in reversed(find(view, now)):
            for value in read(item.properties):
                amount = number(value)
                if amount is not None:
                    total = EXACT.add(total, amount)
            found.append(total)
        return found

    return added


def _key(
    name: str, within: timedelta | Calendar | None, where: Sequence[Property | Element], zone: tzinfo | None
) -> tuple[object, ...]:
    said = tuple(item.model_dump_json(by_alias=True, exclude_none=True) for item in where)
    return ("happened", name, within, said, str(zone or deployment_zone()))


def _happened(
    name: str, within: timedelta | Calendar | None, where: Sequence[Property | Element], zone: tzinfo | None
) -> Occurred:
    reached = _calendar(within, zone) if isinstance(within, Calendar) else _rolling(within)
    wanted = [matching(item, parse_path(item.property)) for item in where if not on_calendar(item)]
    local = [matching(item, parse_path(item.property)) for item in where if on_calendar(item)]
    localise = localiser(zone) if local else None

    def find(view: View, now: datetime) -> Found:
        found = view.events.get(name)
        if not found:
            return ()
        found = reached(found, view, now)
        for match in wanted:
            found = [item for item in found if match(item.properties, now)]
        if localise and found:
            here = localise(view, now)
            for match in local:
                found = [item for item in found if match(item.properties, here)]
        return found

    return find


def matching(condition: Condition | Element, steps: Sequence[Step]) -> Match:
    """Whether any value at the path satisfies the condition; a negative one: whether none does its opposite.

    A condition on the calendar (`on_calendar`) wants a moment in the customer's zone, others one of any fixed offset.
    """
    if isinstance(condition, Element):
        return _element(condition, steps)
    operator, operand, negated = affirmative(condition)
    read, test = reader(steps), check(operator, operand)

    def match(root: object, now: datetime) -> bool:
        for value in read(root):
            if test(value, now):
                return not negated
        return negated

    return match


def _element(element: Element, steps: Sequence[Step]) -> Match:
    read, negated = reader(steps), element.none_of is not None
    tests = [(matching(item, parse_path(item.property)), on_calendar(item)) for item in element.where]
    local = any(on for _, on in tests)

    def match(root: object, now: datetime) -> bool:
        moments = (now.astimezone(UTC) if local else now, now)
        for value in read(root):
            if all(test(value, moments[on]) for test, on in tests):
                return not negated
        return negated

    return match


def _rolling(within: timedelta | None) -> Keep:
    def keep(found: Found, _view: View, now: datetime) -> Found:
        stop = len(found) if found[-1].at <= now else bisect_right(found, now, key=_at)
        start = bisect_right(found, now - within, hi=stop, key=_at) if within else 0
        return found[start:stop] if start or stop < len(found) else found

    return keep


def _calendar(within: Calendar, zone: tzinfo | None) -> Keep:
    edges, localise = windows(within), localiser(zone)

    def keep(found: Found, view: View, now: datetime) -> Found:
        here = localise(view, now)
        first, last = edges(here, here.tzinfo or UTC)
        stop = min(bisect_right(found, now, key=_at), bisect_left(found, last, key=_at))
        return found[bisect_left(found, first, hi=stop, key=_at) : stop]

    return keep


def _beside(relation: str, other: Beside, zone: tzinfo | None) -> Keep:
    """Of the occurrences those with (or without) another event after (or before) them.

    That something did not follow is known only once its time has run out.
    """
    find, span = happened(other.event, None, other.where, zone), other.within
    follows, wanted = relation.endswith("followed_by"), not relation.startswith("not_")

    def keep(found: Found, view: View, now: datetime) -> Found:
        times = [item.at for item in find(view, now)]
        if not wanted and follows:
            found = [item for item in found if item.at <= now - span]
        near = _followed if follows else _preceded
        return [item for item in found if near(times, item.at, span) is wanted]

    return keep


def _followed(times: Sequence[datetime], at: datetime, span: timedelta) -> bool:
    place = bisect_right(times, at)
    return place < len(times) and times[place] - at <= span


def _preceded(times: Sequence[datetime], at: datetime, span: timedelta) -> bool:
    place = bisect_left(times, at)
    return place > 0 and at - times[place - 1] <= span


def measure(rule: OnEvent) -> Measure:
    """Whether the occurrences found measure up. A sum of nothing is 0; nothing has no average, least, first."""
    name, wanted = rule.measure
    return _BUILDERS[name](wanted)


def measured(rule: OnEvent, found: Found) -> object:
    """The measure's value, for an explanation: a count, an amount or a time."""
    name, wanted = rule.measure
    if name == "count":
        return len(found)
    if isinstance(wanted, When):
        return found[0 if name == "first" else -1].at if found else None
    if name == "distinct":
        return len(different(cast("Amount", wanted))(found))
    values = amounts(cast("Amount", wanted))(found)
    if name == "sum":
        return _sum(values)
    if not values:
        return None
    return _sum(values) / len(values) if name == "average" else min(values) if name == "min" else max(values)


def amounts(wanted: Amount) -> Callable[[Found], list[Decimal]]:
    """The numbers at the property's path over all occurrences; what is no number is left out."""
    read = reader(parse_path(wanted.property))

    def numbers(found: Found) -> list[Decimal]:
        values = (number(value) for item in found for value in read(item.properties))
        return [value for value in values if value is not None]

    return numbers


def different(wanted: Amount) -> Callable[[Found], set[str]]:
    """The different texts at the property's path over all occurrences; lists, objects and null are left out."""
    read = reader(parse_path(wanted.property))

    def texts(found: Found) -> set[str]:
        return {said for item in found for value in read(item.properties) if (said := text(value)) is not None}

    return texts


def _sum(values: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, values, Decimal())


def _count(wanted: Bounds) -> Measure:
    hold = bounds(wanted)
    return lambda found, _now: hold(len(found), 1)


def _distinct(wanted: Amount) -> Measure:
    hold, texts = bounds(wanted), different(wanted)
    return lambda found, _now: hold(len(texts(found)), 1)


def _total(wanted: Amount) -> Measure:
    hold, numbers = bounds(wanted), amounts(wanted)
    return lambda found, _now: hold(_sum(numbers(found)), 1)


def _average(wanted: Amount) -> Measure:
    hold, numbers = bounds(wanted), amounts(wanted)

    def holds(found: Found, _now: datetime) -> bool:
        values = numbers(found)
        return bool(values) and hold(_sum(values), len(values))

    return holds


def _extreme(choose: Callable[[list[Decimal]], Decimal]) -> Callable[[Amount], Measure]:
    def build(wanted: Amount) -> Measure:
        hold, numbers = bounds(wanted), amounts(wanted)

        def holds(found: Found, _now: datetime) -> bool:
            values = numbers(found)
            return bool(values) and hold(choose(values), 1)

        return holds

    return build


def _time(position: int) -> Callable[[When], Measure]:
    def build(wanted: When) -> Measure:
        test = time_check(wanted.operator, cast("Timed", wanted.operand))
        return lambda found, now: bool(found) and test(found[position].at, now)

    return build


_BUILDERS: dict[str, Callable[..., Measure]] = {
    "count": _count,
    "distinct": _distinct,
    "sum": _total,
    "average": _average,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": _time(0),
    "last": _time(-1),
}
