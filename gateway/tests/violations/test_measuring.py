"""What was turned away is said as totals: again and again, and it changes nothing."""

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import text

from perennial.common.contracts.gateway import IntakeMeasured
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.gateway.sources.models import Source
from perennial.gateway.violations.measuring import measure
from perennial.gateway.violations.models import Violation, ViolationCount

FACTS = text("SELECT body FROM outbox WHERE subject = 'gateway.intake.measured.v1' ORDER BY id")


async def test_rejected_events_and_those_that_wait_are_said_by_source(session: WriteSession, runtime: Runtime) -> None:
    today = datetime.now(UTC).date()
    session.add_all([Source(id=name, name=name, kind="server", write_keys=[]) for name in ("web", "app")])
    await session.flush()
    days = (
        (today, "rejected", "Order", 3),
        (today, "rejected", "View", 4),
        (today, "allowed", "View", 9),
        (today - timedelta(days=1), "rejected", "View", 2),
        (today - timedelta(days=9), "rejected", "View", 7),
    )
    session.add_all(
        [
            ViolationCount(source_id="web", day=day, code="unplanned", outcome=outcome, name=name, count=count)
            for day, outcome, name, count in days
        ]
    )
    replayed = (None, None, datetime.now(UTC))
    session.add_all(
        [
            Violation(source_id="web", code="x", message="x", raw="{}", replayed_at=at, outcome="rejected")
            for at in replayed
        ]
    )
    session.add(Violation(source_id="web", code="x", message="x", raw="{}", outcome="allowed"))
    await session.flush()
    await measure(runtime)
    await measure(runtime)
    first, second = (
        IntakeMeasured.model_validate_json(bytes(body)) for body in (await session.execute(FACTS)).scalars()
    )
    assert (first.counts, first.waiting) == (second.counts, second.waiting)
    assert {(one.source, one.hour, one.outcome): one.count for one in first.counts} == {
        ("web", datetime.combine(today - ago, time(), UTC), "rejected:unplanned"): count
        for ago, count in ((timedelta(0), 7), (timedelta(days=1), 2))
    }
    assert {(one.source, one.name): one.value for one in first.waiting} == {
        ("app", "quarantined"): 0,
        ("web", "quarantined"): 2,
    }
