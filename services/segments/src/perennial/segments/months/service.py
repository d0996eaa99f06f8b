"""How long events are kept: for as long as any rule looks back, and a while for rules that are yet to be written."""

from datetime import datetime, timedelta

from perennial.common import rules
from perennial.common.db import ReadSession
from perennial.common.rules import Rule, RuleError
from perennial.segments.months import queries


async def kept_for(session: ReadSession, least: timedelta) -> timedelta | None:
    """For how long to keep events; None: for ever, because a rule looks back without end or cannot be read."""
    longest = least
    for row in await queries.rules(session):
        for document in (row.rule, row.serving_rule):
            try:
                back = timedelta() if document is None else rules.footprint(rules.parse(document)).look_back
            except RuleError:
                return None
            if back is None:
                return None
            longest = max(longest, back)
    return longest


def short_since(rule: Rule, complete_since: datetime | None, now: datetime) -> datetime | None:
    """Since when events are complete, where the rule looks further back than that; None: it misses nothing."""
    reads = rules.footprint(rule)
    if complete_since is None or not reads.events:
        return None
    return complete_since if reads.look_back is None or now - reads.look_back < complete_since else None
