"""Measures against a naive count of the same events; what the gateway and identity count comes in by their facts."""

import csv
import io
import random
import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import IntakeCount, IntakeGauge
from perennial.common.contracts.gateway import IntakeMeasured as Rejected
from perennial.common.contracts.identity import IntakeMeasured
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked
from perennial.profile.quality.measuring import queries
from perennial.profile.quality.measuring.queries import Sample

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Measure = Callable[..., Awaitable[None]]
MakeRule = Callable[..., Awaitable[Any]]
KEYS = ("city", "size", "code")
SOURCES = ("shop", "app", "till")
DAY = timedelta(days=1)


def noon() -> datetime:
    """Today's, so that nothing happens around midnight."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


class World:
    """Some customers with one or two identifiers, and what sources said of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.owner: dict[UUID, UUID] = {}
        for _ in range(12):
            first, second = uuid7(), uuid7()
            self.owner[first] = first
            if self.random.random() < 0.4:
                self.owner[second] = first
        self.said: list[tuple[UUID, str, str, Any, datetime]] = []
        for _ in range(120):
            via, source, key = self._of(list(self.owner)), self._of(SOURCES), self._of(KEYS)
            value = {"city": ["Rome", "Oslo", None], "size": [38, 41, 99, None], "code": ["a", "A", "b", "c", None]}
            at = noon() - timedelta(days=self.random.randrange(900), seconds=self.random.randrange(9999))
            self.said.append((via, source, key, self._of(value[key]), at))

    def _of(self, choice: Any) -> Any:
        return self.random.choice(choice)

    def members(self, source: str) -> set[UUID]:
        return {self.owner[via] for via, by, *_ in self.said if by == source}

    def taken(self) -> list[tuple[UUID, str, str, Any, datetime]]:
        """What the definition of `size` (at most 60) lets in."""
        return [one for one in self.said if not (one[2] == "size" and one[3] == 99)]

    def last(self) -> dict[tuple[UUID, str, str], tuple[Any, datetime]]:
        found: dict[tuple[UUID, str, str], tuple[Any, datetime]] = {}
        for via, source, key, value, at in sorted(self.taken(), key=lambda one: one[4]):
            found[via, source, key] = (value, at)
        return found

    def shows(self, customer: UUID, key: str) -> bool:
        said = [(at, value) for via, _, name, value, at in self.taken() if self.owner[via] == customer and name == key]
        return bool(said) and max(said, key=lambda one: one[0])[1] is not None


@pytest.mark.parametrize("seed", range(4))
async def test_every_measure_is_that_of_a_naive_count(
    seed: int, client: httpx.AsyncClient, hear: Hear, assign: Any, get: Show, measure: Measure, rule: MakeRule
) -> None:
    size = {"key": "size", "label": {"en": "Size"}, "type": "number", "maximum": "60"}
    assert (await client.post("/v1/traits", json=size)).status_code == 201
    await rule(kind="duplicate", key="code")
    world = World(seed)
    for via, customer in world.owner.items():
        await assign(customer, via, version=1)
    events = [
        identified({key: value}, via=via, customer=world.owner[via], source=source, at=at)
        for via, source, key, value, at in world.said
    ]
    for start in range(0, len(events), 40):
        await hear(*events[start : start + 40])
    now = noon() + timedelta(hours=1)
    await measure(now)
    rows = {(row["source"], row["key"]): row for row in (await get("/v1/quality/report", limit=200))["items"]}
    assert rows
    received = {event.received_at.date() for event in events}
    for (source, key), row in rows.items():
        members = world.members(source)
        assert row["customers"] == len(members)
        assert row["fill_rate"] == pytest.approx(sum(world.shows(one, key) for one in members) / len(members))
        held = [(value, at) for (_, by, name), (value, at) in world.last().items() if (by, name) == (source, key)]
        ages = sorted((now - at).total_seconds() for value, at in held if value is not None)
        assert row["values"] == len(ages)
        if ages:
            assert row["median_age_seconds"] == pytest.approx(statistics.median(ages))
            assert ages[0] <= row["p90_age_seconds"] <= ages[-1]
            assert row["stale_share"] == pytest.approx(sum(age > 365 * 86400 for age in ages) / len(ages))
        said = [value for _, by, name, value, _ in world.said if (by, name) == (source, key) and value is not None]
        if received == {now.date()} and said:
            assert row["said"] == len(said)
            assert row["validity"] == pytest.approx(sum(value != 99 for value in said) / len(said))
        codes = [value.lower() for value, _ in held if key == "code" and value is not None]
        assert row["uniqueness"] == (pytest.approx(len(set(codes)) / len(codes)) if codes else None)
        assert row["sampled"] is False


async def test_measuring_twice_on_a_day_writes_one_row_and_one_score(
    hear: Hear, get: Show, measure: Measure, session: WriteSession, derive: Callable[[], Awaitable[None]]
) -> None:
    await hear(identified({"city": "Rome"}, via=uuid7()), tracked("Seen", via=uuid7()))
    await derive()
    await measure()
    first = (await get("/v1/quality/sources"))["items"]
    await measure()
    again = (await get("/v1/quality/sources"))["items"]
    assert len(again) == 1
    assert {**first[0], "measured_at": 0} == {**again[0], "measured_at": 0}
    parts = {part["name"]: part["value"] for part in first[0]["components"]}
    assert parts["completeness"] == 0.5
    assert parts["validity"] == parts["freshness"] == 1.0
    assert parts["uniqueness"] is None
    assert first[0]["score"] == pytest.approx((30 * 0.5 + 25 + 15) / 70 * 100)
    assert (await session.execute(text("SELECT count(*) FROM quality_trait_day"))).scalar_one() == 1


async def test_late_repeated_and_rejected_shares_come_from_facts_in_any_order(
    hear: Hear, get: Show, client: httpx.AsyncClient, measure: Measure
) -> None:
    hour = noon() - timedelta(hours=2)

    def counted(**counts: int) -> list[IntakeCount]:
        return [IntakeCount(source="shop", hour=hour, outcome=name, count=value) for name, value in counts.items()]

    early = IntakeMeasured(counts=counted(accepted=50, timed=50, repeated=2))
    late = IntakeMeasured(
        counts=counted(accepted=90, timed=80, repeated=10, late_1h=8, late_1d=3, late_7d=1),
        waiting=[IntakeGauge(source="shop", name="shared", value=4)],
    )
    parked = IntakeMeasured(
        counts=[IntakeCount(source="shop", hour=hour, outcome="parked:no_identifier", count=4)],
        waiting=[IntakeGauge(source="shop", name="shared", value=2)],
    )
    turned = Rejected(
        counts=[IntakeCount(source="shop", hour=noon() - timedelta(hours=12), outcome="rejected:unplanned", count=6)],
        waiting=[IntakeGauge(source="shop", name="quarantined", value=5)],
    )
    await hear(late, turned, parked)
    await hear(early)
    await measure(noon())
    [shop] = (await get("/v1/quality/sources"))["items"]
    assert shop["events"]["accepted"] == 90
    assert shop["late_share"] == pytest.approx(4 / 80)
    assert shop["duplicate_share"] == pytest.approx(10 / 100)
    assert shop["rejected_share"] == pytest.approx(10 / 100)
    assert shop["quarantine"] == {"quarantined": 5, "held": 0}
    assert shop["shared_identifiers"] == 2, "the newest gauge holds, although it came with another fact"
    saved = await client.put(
        "/v1/quality/settings", json={"stale_after_days": 30, "late_after": "1h"}, headers={"If-Match": '"0"'}
    )
    assert (saved.status_code, saved.headers["etag"]) == (200, '"1"')
    await measure(noon())
    [shop] = (await get("/v1/quality/sources"))["items"]
    assert shop["late_share"] == pytest.approx(12 / 80)


async def test_a_sample_of_many_customers_says_so_and_is_near(hear: Hear, session: WriteSession, get: Show) -> None:
    await hear(*[identified({"city": "Rome"} if number % 2 else {"size": 1}, via=uuid7()) for number in range(300)])
    assert (await queries.sample(session, "customer", 100)).sampled
    assert not (await queries.sample(session, "customer", 100_000)).sampled
    how = Sample("TABLESAMPLE BERNOULLI (50) REPEATABLE (7)", sampled=True)
    now = noon()
    await queries.measure_traits(session, how, now, 365 * DAY, [], [])
    await queries.write_sources(session, [], now, sampled=True)
    rows = (await get("/v1/quality/report"))["items"]
    assert {row["key"] for row in rows} == {"city", "size"}
    for row in rows:
        assert row["sampled"]
        assert 90 < row["customers"] < 210
        assert row["fill_rate"] == pytest.approx(0.5, abs=0.15)


async def test_days_are_kept_by_their_number_and_a_clock_that_was_ahead_leaves_nothing(
    hear: Hear, measure: Measure, session: WriteSession
) -> None:
    await hear(identified({"city": "Rome"}, via=uuid7()))
    today = noon()
    for ago in range(402, 0, -1):
        row = {"day": today.date() - ago * DAY}
        await session.execute(text("INSERT INTO quality_source_day VALUES (:day, 'shop', '{}', false, now())"), row)
    await measure(today + 900 * DAY)
    count = text("SELECT count(DISTINCT day), max(day) FROM quality_source_day")
    days, newest = (await session.execute(count)).one()
    assert (days, newest) == (400, (today + 900 * DAY).date()), "the past was not taken away by the clock"
    await measure(today)
    days, newest = (await session.execute(count)).one()
    assert newest == today.date()
    assert days == 399, "the wrong day has cost one"


async def test_the_report_as_csv_cannot_be_a_formula(client: httpx.AsyncClient, hear: Hear, measure: Measure) -> None:
    await hear(identified({"=cmd": 1}, via=uuid7(), source="-1+1"))
    await measure()
    answer = await client.get("/v1/quality/report", params={"format": "csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    head, line = csv.reader(io.StringIO(answer.text))
    found = dict(zip(head, line, strict=True))
    assert (found["key"], found["source"], found["fill_rate"]) == ("'=cmd", "'-1+1", "1.0")


async def test_a_report_pages_through_days_sources_and_traits(hear: Hear, get: Show, measure: Measure) -> None:
    await hear(*[identified({f"k{n}": 1}, via=uuid7(), source=f"s{n % 2}") for n in range(5)])
    await measure(noon() - DAY)
    await measure(noon())
    whole = (await get("/v1/quality/report"))["items"]
    assert len(whole) == 10
    found, cursor = [], None
    while True:
        page = await get("/v1/quality/report", limit=3, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == whole
    shop = await get("/v1/quality/sources/s0")
    assert len(shop["trend"]) == 1
    assert {row["key"] for row in shop["traits"]} == {"k0", "k2", "k4"}
