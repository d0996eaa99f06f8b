"""What became of events, by source and hour: as a naive count has it, however often a message comes."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import IntakeMeasured
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.identity.intake.jobs import measure

Decided = Callable[..., Awaitable[Any]]
HOUR = datetime(2026, 5, 1, 12, tzinfo=UTC)
FACTS = text("SELECT body FROM outbox WHERE subject = 'identity.intake.measured.v1' ORDER BY id")


async def told(session: WriteSession) -> tuple[Counter[tuple[str, datetime, str]], dict[tuple[str, str], int]]:
    """What a listener knows when it has heard all facts: the highest count of each, the last gauges."""
    counts: Counter[tuple[str, datetime, str]] = Counter()
    waiting: dict[tuple[str, str], int] = {}
    for body in (await session.execute(FACTS)).scalars():
        fact = IntakeMeasured.model_validate_json(bytes(body))
        for one in fact.counts:
            place = (one.source, one.hour, one.outcome)
            counts[place] = max(counts[place], one.count)
        waiting.update({(one.source, one.name): one.value for one in fact.waiting})
    return counts, waiting


@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_those_of_a_naive_count(
    seed: int, decided: Decided, accept: Any, session: WriteSession, runtime: Runtime
) -> None:
    chance = random.Random(seed)
    expected: Counter[tuple[str, datetime, str]] = Counter()
    for round_number in range(4):
        for source in ("shop", "app"):
            hour = HOUR + timedelta(hours=round_number)
            events = []
            for _ in range(chance.randrange(1, 8)):
                lag = chance.choice(
                    [timedelta(0), timedelta(minutes=59), timedelta(hours=1), timedelta(days=3), timedelta(days=8)]
                )
                imported = chance.random() < 0.3
                received = hour + timedelta(minutes=chance.randrange(60))
                events.append(
                    accept(userId=f"u{chance.random()}", received=received, at=received - lag, imported=imported)
                )
                expected[source, hour, "accepted"] += 1
                expected[source, hour, "timed"] += not imported
                if not imported and lag >= timedelta(hours=1):
                    late = {timedelta(hours=1): "late_1h", timedelta(days=3): "late_1d"}.get(lag, "late_7d")
                    expected[source, hour, late] += 1
            await decided(*events, source=source, seq=100 + 10 * round_number + (source == "app"))
            await decided(events[0], source=source, seq=500 + 10 * round_number + (source == "app"))
            expected[source, hour, "repeated"] += 1
        await measure(runtime)
    await measure(runtime)
    counts, waiting = await told(session)
    assert +counts == +expected
    assert waiting == {("shop", "shared"): 0, ("app", "shared"): 0}
    assert (await session.execute(text("SELECT count(*) FROM intake_tally"))).scalar_one() == 0


async def test_a_message_that_comes_again_counts_once_also_when_it_is_parked(
    decided: Decided, accept: Any, session: WriteSession, runtime: Runtime
) -> None:
    good = accept(userId="u1", received=HOUR, at=HOUR)
    nobody = accept(received=HOUR, at=HOUR)
    old = accept(userId="u2", received=HOUR, at=HOUR - timedelta(days=36))
    for _ in range(3):
        await decided(good, nobody, old, seq=7)
    await measure(runtime)
    counts, _ = await told(session)
    assert {outcome: number for (_, _, outcome), number in counts.items()} == {
        "accepted": 1, "timed": 1, "parked:no_identifier": 1, "parked:too_old": 1,
    }  # fmt: skip


async def test_twins_in_one_message_are_one_event_and_a_repeat(
    decided: Decided, accept: Any, session: WriteSession, runtime: Runtime
) -> None:
    twin = accept(userId="u1", received=HOUR, at=HOUR)
    await decided(twin, twin)
    await measure(runtime)
    counts, _ = await told(session)
    assert counts["shop", HOUR, "accepted"] == counts["shop", HOUR, "repeated"] == 1


async def test_shared_identifiers_are_counted_by_the_sources_they_came_from(
    decided: Decided, accept: Any, session: WriteSession, runtime: Runtime
) -> None:
    await decided(accept(userId="u1", anonymousId="kiosk", received=HOUR, at=HOUR))
    via = (await session.execute(text("SELECT via FROM seen LIMIT 1"))).scalar_one_or_none()
    if via is None:
        via = (await session.execute(text("SELECT via FROM identity_map LIMIT 1"))).scalar_one()
        await session.execute(text("INSERT INTO seen VALUES (:via, 'shop', now(), now())"), {"via": via})
    await session.execute(text("INSERT INTO shared (via) VALUES (:via)"), {"via": via})
    await measure(runtime)
    assert (await told(session))[1] == {("shop", "shared"): 1}
    await session.execute(text("DELETE FROM shared"))
    await measure(runtime)
    assert (await told(session))[1] == {("shop", "shared"): 0}
