"""Of whom the clock alone may change the answer, as one query: nobody else needs a timer."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Iterator
from datetime import datetime, tzinfo

from perennial.common.rules.flip import timed
from perennial.common.rules.footprint import Footprint, footprint, leaves
from perennial.common.rules.nodes import AllOf, AnyOf, Not, Rule
from perennial.common.rules.sql import Sql, to_sql
from perennial.common.rules.zones import TRAITS as ZONES


def awaiting_sql(rule: Rule, now: datetime, zone: tzinfo | None = None) -> Sql | None:
    """The customers, and perhaps some more, for whom `next_flip` is not None; None: there are none for sure.

    Such a customer has something that a timed leaf reads. Where a rule asks for all of several, whoever fails one that
    the clock cannot change is failed by all of them at any time.
    """
    wanted = {_reads(leaf) for leaf in leaves(rule) if timed(leaf)}
    if not wanted:
        return None
    touched = _touched(wanted, now)
    lasting = tuple(part for part in _parts(rule) if not timed(part))
    return to_sql(AllOf.model_construct(rules=lasting), now, zone, touched) if lasting else touched


def _parts(rule: Rule) -> Iterator[Rule]:
    if isinstance(rule, AllOf):
        for inner in rule.rules:
            yield from _parts(inner)
    else:
        yield rule


def _reads(leaf: Rule) -> Footprint:
    if isinstance(leaf, AllOf | AnyOf | Not):
        raise TypeError(leaf)
    return footprint(leaf)


def _touched(reads: set[Footprint], now: datetime) -> Sql:
    """Whoever has said or done what one of the leaves reads; a zone alone is nothing that a date comes of."""
    queries: list[str] = []
    values: dict[str, object] = {}
    for n, each in enumerate(sorted(reads, key=repr)):
        if each.events:
            since = "" if each.look_back is None else f" AND e.at > CAST(:timed_since_{n} AS timestamptz)"
            queries.append(
                "SELECT m.customer_id FROM event AS e JOIN identity_map AS m ON m.via = e.via"
                f" WHERE e.name = ANY(CAST(:timed_names_{n} AS text[])){since}"
            )
            values[f"timed_names_{n}"] = sorted(each.events)
            if each.look_back is not None:
                values[f"timed_since_{n}"] = now - each.look_back
        elif each.traits:
            queries.append(
                "SELECT m.customer_id FROM trait AS t JOIN identity_map AS m ON m.via = t.via"
                f" WHERE t.key = ANY(CAST(:timed_keys_{n} AS text[]))"
            )
            values[f"timed_keys_{n}"] = sorted(each.traits - set(ZONES) or each.traits)
    return Sql(f"SELECT DISTINCT customer_id FROM ({' UNION ALL '.join(queries)}) AS touched", values)
