"""A sequence as SQL: the twin of `evaluation.sequences`, one pass over the events of each step."""

# ruff: noqa: S608 (what is not ours is bound, never written into the text)

from perennial.common.rules.grammar.nodes import OnSequence
from perennial.common.rules.sql.clock import Clock, Zones
from perennial.common.rules.sql.events import ZONED, happened_sql


def sequence_sql(rule: OnSequence, clock: Clock, zones: Zones) -> str:
    """A query of the customers who went through all steps; `zones` are the customers' own."""
    clock = clock.told_by(f"{ZONED}.zone")
    reached = ""
    for step in rule.steps:
        source, tests = happened_sql(step.event, rule.within, step.where, clock, zones)
        found = f"FROM {source} WHERE {' AND '.join(tests)}"
        if not reached:
            reached = f"SELECT m.customer_id, e.at, e.at AS began {found}"
            continue
        # Of equal instants the later step comes first, and so does not see the one that it must follow.
        both = (
            f"SELECT r.customer_id, r.at, r.at AS before, r.began, 1 AS made FROM ({reached}) AS r"
            f" UNION ALL SELECT m.customer_id, e.at, NULL, NULL, 0 {found}"
        )
        paired = (
            "SELECT b.customer_id, b.at, b.made, max(b.before) OVER w AS before, max(b.began) OVER w AS began"
            f" FROM ({both}) AS b WINDOW w AS (PARTITION BY b.customer_id ORDER BY b.at, b.made"
            " ROWS UNBOUNDED PRECEDING)"
        )
        within = "p.before IS NOT NULL"
        if step.within:
            within = f"p.at - p.before <= {_seconds(step.within.total_seconds(), clock)}"
        reached = f"SELECT p.customer_id, p.at, p.began FROM ({paired}) AS p WHERE p.made = 0 AND {within}"
    whole = f"WHERE r.at - r.began <= {_seconds(rule.span.total_seconds(), clock)}" if rule.span else ""
    return f"SELECT DISTINCT r.customer_id FROM ({reached}) AS r {whole}"


def _seconds(seconds: float, clock: Clock) -> str:
    """An exact interval; what two instants differ by is counted in days of 24 hours."""
    return f"make_interval(secs => {clock.binds(seconds, 'float8')})"
