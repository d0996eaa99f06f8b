"""An event leaf as SQL: the customers for whom the measure is not what it is without any event."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Callable
from datetime import datetime
from typing import cast

from perennial.common.rules.criteria import Amount, Bounds, When
from perennial.common.rules.events import measure
from perennial.common.rules.literals import Moment
from perennial.common.rules.nodes import OnEvent
from perennial.common.rules.paths import parse_path
from perennial.common.rules.sql_conditions import bounds_sql, condition_sql, time_sql
from perennial.common.rules.sql_values import Binds, number, walk


def holds_without_events(rule: OnEvent, now: datetime) -> bool:
    """The answer for a customer who has none (`count: {eq: 0}` holds)."""
    return measure(rule)((), now)


def exceptions_sql(rule: OnEvent, binds: Binds, now: datetime) -> str:
    """A query of the customers whose answer is not `holds_without_events`."""
    name, wanted = rule.measure
    source = "event AS e JOIN identity_map AS m ON m.via = e.via"
    amount = ""
    if isinstance(wanted, Amount):
        value, items = walk("e.properties", parse_path(wanted.property), binds)
        source = " CROSS JOIN ".join([source, *items, f"LATERAL (SELECT {number(value)}) AS a(amount)"])
        amount = "a.amount"
    held = _HAVING[name](wanted, amount, binds, now)
    having = f"NOT ({held})" if holds_without_events(rule, now) else held
    return (
        f"SELECT m.customer_id FROM {source} WHERE {_occurred(rule, binds, now)} GROUP BY m.customer_id HAVING {having}"
    )


def _occurred(rule: OnEvent, binds: Binds, now: datetime) -> str:
    tests = [f"e.name = {binds(rule.event, 'text')}", f"e.at <= {binds(now, 'timestamptz')}"]
    if rule.within:
        tests.append(f"e.at > {binds(now - rule.within, 'timestamptz')}")
    tests += [condition_sql(item, "e.properties", parse_path(item.property), binds, now) for item in rule.where]
    return " AND ".join(tests)


def _when(extreme: str) -> Callable[[When, str, Binds, datetime], str]:
    def build(wanted: When, _amount: str, binds: Binds, now: datetime) -> str:
        return time_sql(wanted.operator, cast("Moment", wanted.operand), f"{extreme}(e.at)", binds, now)

    return build


def _amount(total: str, share: str = "1") -> Callable[[Bounds, str, Binds, datetime], str]:
    def build(wanted: Bounds, amount: str, binds: Binds, _now: datetime) -> str:
        return bounds_sql(wanted, total.format(amount), binds, share.format(amount))

    return build


_HAVING: dict[str, Callable[..., str]] = {
    "count": _amount("count(*)"),
    "sum": _amount("coalesce(sum({0}), 0)"),
    "average": _amount("sum({0})", "count({0})"),
    "min": _amount("min({0})"),
    "max": _amount("max({0})"),
    "first": _when("min"),
    "last": _when("max"),
}
