"""Whose day it is: calendar windows and birthdays where clocks are changed, and when midnight changes an answer."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.common.tests.rules.oracle.naive import naive
from perennial.common import rules
from perennial.common.rules import Occurrence, RuleError, View
from perennial.common.rules.calendar import zones
from perennial.common.rules.facts import EventFact, TraitFact, record_events, record_traits

EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "40"))
WHO, VIA = UUID(int=1), UUID(int=2)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Havana",  # midnight is skipped in spring
    "Africa/Cairo",  # and comes twice, but for a second, in autumn
    "Australia/Lord_Howe",  # half an hour
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Asia/Shanghai",
]
CHANGES = ["2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-25", "2026-10-30",
           "2026-11-01", "2026-01-01", "2026-12-31", "2027-02-28", "2028-02-29", "2028-03-01"]  # fmt: skip
days = st.sampled_from([datetime.fromisoformat(day).replace(tzinfo=UTC) for day in CHANGES])
ticks = st.sampled_from([timedelta(), SECOND, -SECOND, timedelta(minutes=30)])
moments = st.builds(
    lambda day, hours, tick: day + timedelta(hours=hours) + tick, days, st.integers(-26, 26), ticks
)  # fmt: skip
windows = st.builds(
    lambda kind, unit, count: {kind: unit, **count},
    st.sampled_from(["this", "last"]),
    st.sampled_from(["day", "week", "month", "quarter", "year"]),
    st.just({}) | st.integers(1, 8).map(lambda count: {"count": count}),
)
measures: list[dict[str, Any]] = [{}, {"count": {"gte": 2}}, {"count": {"eq": 0}}]
documents = st.one_of(
    st.builds(lambda window, more: {"event": "Order", "within": window, **more}, windows, st.sampled_from(measures)),
    windows.map(lambda window: {"event": "Order", "first": {"within": window}}),
    windows.map(lambda window: {"event": "Order", "last": {"within": window}}),
    windows.map(lambda window: {"event": "Order", "where": [{"property": "due", "within": window}]}),
    windows.map(lambda window: {"sequence": [{"event": "Order"}, {"event": "Order"}], "within": window}),
    windows.map(lambda window: {"trait": "due", "within": window}),
    st.builds(lambda unit: {"trait": "due", "within": {"next": unit}}, st.sampled_from(["day", "week", "month"])),
    st.integers(0, 3).map(lambda days: {"trait": "due", "birthday_within": days}),
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> tuple[datetime, dict[str, Any], list[tuple[datetime, str]]]:
    """A moment, and traits and events around midnights that are near it."""
    now, zone = draw(moments), ZoneInfo(draw(st.sampled_from(ZONES)))

    def around() -> datetime:
        day = now.astimezone(zone) + timedelta(days=draw(st.sampled_from([0, 0, 1, -1, 2, -6, -7, -31, 30, -366])))
        midnight = day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)
        at: datetime = draw(st.sampled_from([midnight, now])) + draw(ticks)
        return at

    def spelled() -> str:
        at = around()
        return draw(st.sampled_from([at.isoformat(), at.astimezone(zone).date().isoformat(), at.isoformat()[:16]]))

    traits = {"due": spelled(), draw(st.sampled_from(["timezone", "timeZone"])): str(zone)}
    return now, traits, [(around(), spelled()) for _ in range(draw(st.integers(0, 3)))]


def view_of(traits: dict[str, Any], events: list[tuple[datetime, str]]) -> View:
    found = sorted((Occurrence(at, {"due": due}) for at, due in events), key=lambda item: item.at)
    return View(WHO, {rules.trait_key(key): value for key, value in traits.items()}, {"Order": found})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=st.lists(documents, min_size=5, max_size=8))
async def test_evaluators_agree_where_clocks_are_changed(
    facts_connection: AsyncConnection, history: Any, chosen: list[dict[str, Any]]
) -> None:
    now, traits, events = history
    outer = await facts_connection.begin()
    try:
        async with AsyncSession(facts_connection, join_transaction_mode="create_savepoint") as session:
            await session.execute(text("INSERT INTO identity_map VALUES (:v, :c, 1)"), {"v": VIA, "c": WHO})
            await record_traits(session, [TraitFact(VIA, key, said, now, "a", "1") for key, said in traits.items()])
            await record_events(
                session, [EventFact(UUID(int=n), VIA, "Order", at, {"due": due}) for n, (at, due) in enumerate(events)]
            )
            for document in chosen:
                rule, view = rules.parse(document), view_of(traits, events)
                expected = naive(document, view, now)
                assert rules.compile(rule)(view, now) is expected
                query = rules.to_sql(rule, now)
                assert (await session.execute(text(query.text), query.params)).scalars().all() == [WHO] * expected
    finally:
        await outer.rollback()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), chosen=st.lists(documents, min_size=5, max_size=8))
def test_no_answer_changes_before_its_midnight(history: Any, chosen: list[dict[str, Any]]) -> None:
    now, traits, events = history
    view, quarter = view_of(traits, events), timedelta(minutes=15)
    start = now.replace(minute=0, second=0, microsecond=0)
    later = [at for n in range(1, 4 * 72) if (at := start + n * quarter) > now]
    for rule in map(rules.parse, chosen):
        holds = rules.compile(rule)
        answer, flip = holds(view, now), rules.next_flip(rule, view, now)
        assert flip is None or (flip > now and holds(view, flip) is not answer)
        assert all(holds(view, at) is answer for at in later if flip is None or at < flip)


@pytest.mark.parametrize(
    ("zone", "flip"),
    [
        ("Europe/Berlin", "2026-03-29T22:00:00+00:00"),  # 23 hours long
        ("America/Havana", "2026-03-30T04:00:00+00:00"),
        ("Asia/Shanghai", "2026-03-29T16:00:00+00:00"),
        (None, "2026-03-30T00:00:00+00:00"),
    ],
)
def test_today_ends_at_the_customers_midnight(zone: str | None, flip: str) -> None:
    at = datetime(2026, 3, 29, 12, tzinfo=UTC)
    view = View(WHO, {"timezone": zone}, {"Order": [Occurrence(at)]})
    rule = rules.parse({"event": "Order", "within": {"this": "day"}})
    assert rules.next_flip(rule, view, at) == datetime.fromisoformat(flip)


def test_who_has_no_zone_lives_by_the_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    at, rule = datetime(2026, 5, 1, 20, tzinfo=UTC), rules.parse({"trait": "born", "birthday_within": 0})
    view = View(WHO, {"born": "1990-05-02"})
    assert not rules.compile(rule)(view, at)
    assert rules.compile(rule, ZoneInfo("Asia/Shanghai"))(view, at)
    zones.deployment_zone.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("PERENNIAL_TIMEZONE", "Asia/Shanghai")
        assert rules.compile(rule)(view, at)
    zones.deployment_zone.cache_clear()


@pytest.mark.parametrize(
    ("born", "on", "within", "holds"),
    [
        ("1990-12-31", "2026-12-30", 1, True),
        ("1990-01-02", "2026-12-30", 3, True),
        ("1990-01-02", "2026-12-30", 2, False),
        ("1990-12-29", "2026-12-30", 360, False),
        ("1992-02-29", "2026-02-28", 0, True),
        ("1992-02-29", "2028-02-28", 0, False),
        ("1992-02-29", "2028-02-28", 1, True),
        ("02-29", "2026-02-27", 1, True),
        ("--02-29", "2026-03-01", 0, False),
        ("1990-02-30", "2026-02-28", 30, False),
        ("1990-05-01T23:00:00-08:00", "2026-05-01", 0, True),
        (19900501, "2026-05-01", 0, False),
    ],
)
def test_birthdays_come_round(born: object, on: str, within: int, holds: bool) -> None:
    rule = rules.parse({"trait": "born", "birthday_within": within})
    assert rules.compile(rule)(View(WHO, {"born": born}), datetime.fromisoformat(on).replace(tzinfo=UTC)) is holds


def test_a_birthday_is_waited_for_until_its_midnight() -> None:
    rule = rules.parse({"trait": "born", "birthday_within": 7})
    view = View(WHO, {"born": "1992-02-29", "time_zone": "Asia/Shanghai"})
    begins = datetime(2027, 2, 20, 16, tzinfo=UTC)
    assert rules.next_flip(rule, view, datetime(2026, 3, 2, tzinfo=UTC)) == begins
    assert rules.next_flip(rule, view, begins) == datetime(2027, 2, 28, 16, tzinfo=UTC)


def test_times_at_the_ends_of_time_stop_nobody() -> None:
    ends = [Occurrence(datetime.min.replace(tzinfo=UTC) + DAY), Occurrence(datetime.max.replace(tzinfo=UTC) - DAY)]
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for document in [
        {"event": "Order", "within": {"this": "month"}},
        {"event": "Order", "within": "P36500D"},
        {"event": "Order", "first": {"before": "P36500D"}},
        {"event": "Order", "not_followed_by": {"event": "Order", "within": "P36500D"}},
        {"sequence": [{"event": "Order"}, {"event": "Order", "within": "P1D"}], "within": "P36500D"},
    ]:
        rule = rules.parse(document)
        view = View(WHO, {"timezone": "Pacific/Pago_Pago"}, {"Order": ends})
        rules.compile(rule)(view, now)
        rules.next_flip(rule, view, now)


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({"event": "E", "within": {"next": "day"}}, "/within", "dates to come"),
        ({"event": "E", "within": {"this": "decade"}}, "/within/this", "'day', 'week'"),
        ({"event": "E", "within": {}}, "/within", "exactly one of this, last, next"),
        ({"event": "E", "within": {"this": "day", "last": "day"}}, "/within", "exactly one of this, last, next"),
        ({"event": "E", "within": {"last": "day", "count": 0}}, "/within/count", "greater than or equal to 1"),
        ({"event": "E", "within": {"last": "year", "count": 101}}, "/within", "at most 100 years"),
        ({"event": "E", "within": {"last": "day", "count": True}}, "/within/count", "integer"),
        ({"trait": "due", "within": "P1D"}, "/within", "object"),
        ({"trait": "born", "birthday_within": 361}, "/birthday_within", "less than or equal to 360"),
        ({"trait": "born", "birthday_within": "P7D"}, "/birthday_within", "integer"),
    ],
)  # fmt: skip
def test_no_window_of_nothing(document: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        rules.parse(document)
    assert refused.value.pointer == pointer
    assert message in refused.value.message
