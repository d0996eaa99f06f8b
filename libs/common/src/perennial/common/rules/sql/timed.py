"""Of whom the clock alone may change the answer, as one query: nobody else needs a timer."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from collections.abc import Iterator
from datetime import datetime, tzinfo

from perennial.common.rules.calendar.zones import TRAITS as ZONES
from perennial.common.rules.changes.flip import timed
from perennial.common.rules.evaluation.conditions import changes
from perennial.common.rules.evaluation.footprint import Footprint, footprint, leaves
from perennial.common.rules.grammar.criteria import When
from perennial.common.rules.grammar.nodes import AllOf, OnEvent, OnSequence, Rule
from perennial.common.rules.sql.query import Sql, to_sql


def awaiting_sql(rule: Rule, now: datetime, zone: tzinfo | None = None) -> Sql | None:
    """The customers, and perhaps some more, for whom `next_flip` is not None; None: there are none for sure.

    Such a customer has something that a timed leaf reads. Where a rule asks for all of several, whoever fails one that
    the clock cannot change is failed by all of them at any time.
    """
    wanted = {_reads(leaf, now) for leaf in leaves(rule) if timed(leaf)}
    if not wanted:
        return None
    touched = _touched(wanted)
    lasting = tuple(part for part in _parts(rule) if not timed(part))
    return to_sql(AllOf.model_construct(rules=lasting), now, zone, touched) if lasting else touched


def _parts(rule: Rule) -> Iterator[Rule]:
    if isinstance(rule, AllOf):
        for inner in rule.rules:
            yield from _parts(inner)
    else:
        yield rule


def _reads(leaf: Rule, now: datetime) -> tuple[Footprint, datetime | None]:
    """What a leaf reads, and since when events matter to the clock; None: all do."""
    reads = footprint(leaf)
    if isinstance(leaf, OnEvent | OnSequence) and _lasts(leaf):
        return reads, now
    return reads, None if reads.look_back is None else now - reads.look_back


def _lasts(leaf: OnEvent | OnSequence) -> bool:
    """Whether an occurrence counts for ever once its time has come."""
    if leaf.within is not None:
        return False
    if isinstance(leaf, OnSequence):
        return not any(changes(item) for step in leaf.steps for item in step.where)
    parts = [leaf.where, *(other.where for _, other in leaf.beside)]
    wanted = leaf.measure[1]
    dated = any(changes(item) for where in parts for item in where) or (isinstance(wanted, When) and changes(wanted))
    return not dated and not any(name == "not_followed_by" for name, _ in leaf.beside)


def _touched(reads: set[tuple[Footprint, datetime | None]]) -> Sql:
    """Whoever has said or done what one of the leaves reads; a zone alone is nothing that a date comes of."""
    queries: list[str] = []
    values: dict[str, object] = {}
    for n, (each, start) in enumerate(sorted(reads, key=repr)):
        if each.events:
            since = "" if start is None else f" AND e.at > CAST(:timed_since_{n} AS timestamptz)"
            queries.append(
                "SELECT m.customer_id FROM event AS e JOIN identity_map AS m ON m.via = e.via"
                f" WHERE e.name = ANY(CAST(:timed_names_{n} AS text[])){since}"
            )
            values[f"timed_names_{n}"] = sorted(each.events)
            if start is not None:
                values[f"timed_since_{n}"] = start
        elif each.traits:
            queries.append(
                "SELECT m.customer_id FROM trait AS t JOIN identity_map AS m ON m.via = t.via"
                f" WHERE t.key = ANY(CAST(:timed_keys_{n} AS text[]))"
            )
            values[f"timed_keys_{n}"] = sorted(each.traits - set(ZONES) or each.traits)
    return Sql(f"SELECT DISTINCT customer_id FROM ({' UNION ALL '.join(queries)}) AS touched", values)
