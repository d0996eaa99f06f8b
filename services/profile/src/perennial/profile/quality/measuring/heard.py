"""What the gateway and identity have counted of events before they came here; the highest count of an hour wins."""

from collections.abc import Sequence

from sqlalchemy import text

from perennial.common.contracts.base import IntakeState
from perennial.common.db import WriteSession, raw

_COUNT = """
    INSERT INTO quality_intake AS i (source, hour, outcome, count)
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::bigint[])
    ON CONFLICT (source, hour, outcome) DO UPDATE SET count = greatest(i.count, excluded.count)"""
_GAUGE = """
    INSERT INTO quality_gauge AS g (source, name, value, at)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
    ON CONFLICT (source, name) DO UPDATE SET value = excluded.value, at = excluded.at WHERE g.at < excluded.at"""


async def note(session: WriteSession, facts: Sequence[IntakeState]) -> None:
    """Keep counts by source, hour and outcome, and what waits by source; in any order, any number of times."""
    counts: dict[tuple[object, ...], int] = {}
    gauges: dict[tuple[str, str], tuple[int, object]] = {}
    for fact in sorted(facts, key=lambda fact: fact.occurred_at):
        for one in fact.counts:
            place = (one.source, one.hour, one.outcome)
            counts[place] = max(counts.get(place, 0), one.count)
        gauges.update({(one.source, one.name): (one.value, fact.occurred_at) for one in fact.waiting})
    await session.execute(text("SELECT 1"))
    driver = await raw(session)
    if counts:
        rows = [(*place, counts[place]) for place in sorted(counts)]
        await driver.execute(_COUNT, *zip(*rows, strict=True))
    if gauges:
        held = [(*place, *gauges[place]) for place in sorted(gauges)]
        await driver.execute(_GAUGE, *zip(*held, strict=True))
