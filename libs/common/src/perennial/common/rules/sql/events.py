"""An event leaf as SQL: the customers for whom the measure is not what it is without any event."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import cast

from perennial.common.rules.calendar.windows import Calendar
from perennial.common.rules.evaluation.conditions import Timed, on_calendar
from perennial.common.rules.evaluation.events import measure
from perennial.common.rules.grammar.criteria import Amount, Beside, Bounds, Element, Property, When
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.sql.clock import Clock, Zones
from perennial.common.rules.sql.conditions import bounds_sql, condition_sql, time_sql
from perennial.common.rules.sql.values import number, text, walk
from perennial.common.rules.values.paths import parse_path

ZONED = "zoned"  # where a source reads the customer's zone
_DECIDED = [{"eq": 0}, {"gt": 0}, {"lte": 0}, {"gte": 1}, {"lt": 1}]


def holds_without_events(rule: OnEvent, now: datetime) -> bool:
    """The answer for a customer who has none (`count: {eq: 0}` holds)."""
    return measure(rule)((), now)


def exceptions_sql(rule: OnEvent, clock: Clock, zones: Zones) -> str:
    """A query of the customers whose answer is not `holds_without_events`; `zones` are the customers' own."""
    (name, wanted), binds = rule.measure, clock.binds
    clock = clock.told_by(f"{ZONED}.zone")
    source, tests = happened_sql(rule.event, rule.within, rule.where, clock, zones)
    if (isinstance(wanted, When) and on_calendar(wanted)) or any(on_calendar(other) for _, other in rule.beside):
        source = with_zone(source, zones)
    tests += [_beside(relation, other, clock) for relation, other in rule.beside]
    amount = ""
    if isinstance(wanted, Amount):
        value, items = walk("e.properties", parse_path(wanted.property), binds)
        said = (text if name == "distinct" else number)(value)
        source = " CROSS JOIN ".join([source, *items, f"LATERAL (SELECT {said}) AS a(amount)"])
        amount = "a.amount"
    found = f"SELECT m.customer_id FROM {source} WHERE {' AND '.join(tests)} GROUP BY m.customer_id"
    if name == "count" and _once(cast("Bounds", wanted)):
        return found
    held = _HAVING[name](wanted, amount, clock.told_by(f"min({ZONED}.zone)"))
    return f"{found} HAVING {f'NOT ({held})' if holds_without_events(rule, clock.now) else held}"


def _once(wanted: Bounds) -> bool:
    """Whether one occurrence decides as many do: left to guess, Postgres plans as if it held of one in three."""
    bounds = ((name, getattr(wanted, name)) for name in Bounds.model_fields)
    return {name: bound for name, bound in bounds if bound is not None} in _DECIDED


def happened_sql(
    name: str,
    within: timedelta | Calendar | None,
    where: Sequence[Property | Element],
    clock: Clock,
    zones: Zones,
) -> tuple[str, list[str]]:
    """What to select from and what must hold for the occurrences of an event that count: `e`, of `m.customer_id`."""
    binds, source = clock.binds, "event AS e JOIN identity_map AS m ON m.via = e.via"
    tests = [f"e.name = {binds(name, 'text')}", f"e.at <= {binds(clock.now, 'timestamptz')}"]
    if isinstance(within, Calendar):
        first, stop = (binds(at, "timestamptz") for at in clock.span(within))
        tests.append(f"e.at >= {first} AND e.at < {stop}")
        usual = replace(clock, zone=None).edges(within)
        source += f" LEFT JOIN {zones.lying(within)} AS span ON span.customer_id = m.customer_id"
        tests.append(f"e.at >= coalesce(span.begins, {usual[0]}) AND e.at < coalesce(span.ends, {usual[1]})")
    elif within:
        tests.append(f"e.at > {binds(clock.now - within, 'timestamptz')}")
    if any(on_calendar(item) for item in where):
        source = with_zone(source, zones)
    tests += _properties("e", where, clock)
    return source, tests


def with_zone(source: str, zones: Zones) -> str:
    """The same source with the customer's zone, once."""
    joined = f" LEFT JOIN {zones.named()} AS {ZONED} ON {ZONED}.customer_id = m.customer_id"
    return source if joined in source else source + joined


def _properties(alias: str, where: Sequence[Property | Element], clock: Clock) -> list[str]:
    return [
        condition_sql(item, f"{alias}.properties", parse_path(item.property), clock.binds, clock.now, clock)
        for item in where
    ]


def _beside(relation: str, other: Beside, clock: Clock) -> str:
    """Whether another event is near in time; its seconds are counted, as a day of an interval follows the clock."""
    binds, wanted = clock.binds, not relation.startswith("not_")
    span = f"make_interval(secs => {binds(other.within.total_seconds(), 'float8')})"
    now = binds(clock.now, "timestamptz")
    follows = relation.endswith("followed_by")
    near = "b.at > e.at AND b.at <= e.at + {0}" if follows else "b.at < e.at AND b.at >= e.at - {0}"
    tests = [
        "n.customer_id = m.customer_id",
        f"b.name = {binds(other.event, 'text')}",
        f"b.at <= {now}",
        near.format(span),
        *_properties("b", other.where, clock),
    ]
    found = f"EXISTS (SELECT 1 FROM event AS b JOIN identity_map AS n ON n.via = b.via WHERE {' AND '.join(tests)})"
    if wanted:
        return found
    known = f"e.at <= {binds(clock.now - other.within, 'timestamptz')} AND " if follows else ""
    return f"{known}NOT {found}"


def _when(extreme: str) -> Callable[[When, str, Clock], str]:
    def build(wanted: When, _amount: str, clock: Clock) -> str:
        return time_sql(wanted.operator, cast("Timed", wanted.operand), f"{extreme}(e.at)", clock)

    return build


def _amount(total: str, share: str = "1") -> Callable[[Bounds, str, Clock], str]:
    def build(wanted: Bounds, amount: str, clock: Clock) -> str:
        return bounds_sql(wanted, total.format(amount), clock.binds, share.format(amount))

    return build


_HAVING: dict[str, Callable[..., str]] = {
    "count": _amount("count(*)"),
    "distinct": _amount("count(DISTINCT {0})"),
    "sum": _amount("coalesce(sum({0}), 0)"),
    "average": _amount("sum({0})", "count({0})"),
    "min": _amount("min({0})"),
    "max": _amount("max({0})"),
    "first": _when("min"),
    "last": _when("max"),
}
