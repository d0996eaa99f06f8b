"""Leaves that must all hold, asked one behind the other in SQL: each looks only at whom those before it have left.

Postgres guesses badly how many satisfy a condition on jsonb, so it is not left to choose the order.
"""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Iterator, Sequence
from datetime import timedelta

from perennial.common.rules.evaluation.conditions import affirmative, on_calendar
from perennial.common.rules.grammar.criteria import Condition, Element
from perennial.common.rules.grammar.nodes import AllOf, OnElement, OnEvent, OnSequence, OnTrait, Rule
from perennial.common.rules.sql.clock import LATER, LATEST, Clock, Zones
from perennial.common.rules.sql.conditions import condition_sql
from perennial.common.rules.sql.events import exceptions_sql, holds_without_events
from perennial.common.rules.sql.sequences import sequence_sql
from perennial.common.rules.values.paths import trait_path

OfTrait = OnTrait | OnElement


def narrowing(
    rule: Rule, clock: Clock, zones: Zones, among: str | None = None
) -> tuple[dict[str, str], Sequence[Rule]]:
    """Queries by name, each of the customers left so far (`customer_id`, no row twice), and the rules still to ask.

    `among` is the first of them, where only some customers are asked about.
    """
    happened: list[OnEvent | OnSequence] = []
    said: dict[str, list[OfTrait]] = {}
    rest: list[Rule] = []
    for part in _parts(rule):
        if isinstance(part, OnSequence) or (isinstance(part, OnEvent) and not holds_without_events(part, clock.now)):
            happened.append(part)
        elif isinstance(part, OnTrait | OnElement) and _wants_value(part):
            said.setdefault(_key(part), []).append(part)
        else:
            rest.append(part)
    queries = [among] if among else []
    for leaf in sorted(happened, key=_reach):
        found = sequence_sql(leaf, clock, zones) if isinstance(leaf, OnSequence) else exceptions_sql(leaf, clock, zones)
        joined = f"SELECT f.customer_id FROM few{len(queries) - 1} AS f JOIN ({found}) AS h USING (customer_id)"
        queries.append(joined if queries else found)
    for key, leaves in said.items():
        last = f"few{len(queries) - 1}"
        queries.append(_latest(last, key, leaves, clock) if queries else _saying(key, leaves, clock))
    return {f"few{n}": query for n, query in enumerate(queries)}, rest


def _parts(rule: Rule) -> Iterator[Rule]:
    if isinstance(rule, AllOf):
        for inner in rule.rules:
            yield from _parts(inner)
    else:
        yield rule


def _wants_value(leaf: OfTrait) -> bool:
    """Whether it never holds of who has no such trait; those on the calendar need the customer's zone beside it."""
    condition: Condition | Element = leaf
    if on_calendar(condition):
        return False
    return leaf.none_of is None if isinstance(leaf, OnElement) else not affirmative(leaf)[2]


def _key(leaf: OfTrait) -> str:
    return trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)[0]


def _reach(leaf: OnEvent | OnSequence) -> timedelta:
    """The shortest windows first, those of the calendar and those without end behind them."""
    return leaf.within if isinstance(leaf.within, timedelta) else timedelta.max


def _tests(value: str, leaves: Sequence[OfTrait], clock: Clock) -> str:
    paths = [trait_path(leaf.trait if isinstance(leaf, OnTrait) else leaf.property)[1] for leaf in leaves]
    return " AND ".join(
        condition_sql(leaf, value, steps, clock.binds, clock.now, clock)
        for leaf, steps in zip(leaves, paths, strict=True)
    )


def _many(test: str) -> str:
    """The same, planned for as if it held of a third: of what Postgres knows nothing about it expects one in 200."""
    return f"CASE WHEN {test} THEN 1 END > 0"


def _saying(key: str, leaves: Sequence[OfTrait], clock: Clock) -> str:
    """Whoever has an identifier of which it was said, and nothing later of another of theirs."""
    name = clock.binds(key, "text")
    return (
        "SELECT m.customer_id FROM trait AS t JOIN identity_map AS m ON m.via = t.via"
        f" WHERE t.key = {name} AND {_tests('t.value', leaves, clock)} AND NOT EXISTS ("
        "SELECT 1 FROM identity_map AS o JOIN trait AS u ON u.via = o.via"
        f" WHERE u.key = {name} AND o.customer_id = m.customer_id AND o.via <> m.via AND {LATER})"
    )


def _latest(left: str, key: str, leaves: Sequence[OfTrait], clock: Clock) -> str:
    """Of the customers left those whose value satisfies."""
    return (
        "SELECT l.customer_id FROM (SELECT DISTINCT ON (m.customer_id) m.customer_id, t.value"
        f" FROM {left} AS f JOIN identity_map AS m ON m.customer_id = f.customer_id"
        f" JOIN trait AS t ON t.via = m.via AND t.key = {clock.binds(key, 'text')}"
        f" ORDER BY m.customer_id, {LATEST}) AS l WHERE {_many(_tests('l.value', leaves, clock))}"
    )
