"""Working time agrees with a clock that is looked at every minute, in any zone and through every change of it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perennial.tickets.calendars.definition import CalendarDefinition
from perennial.tickets.calendars.working import Calendar, working_time_add, working_time_between

MINUTE = timedelta(minutes=1)
ROUND_THE_CLOCK = Calendar(UTC, (((0, 1440),),) * 7)
# Around each: a change of the zone's clock, at night, at noon, by half an hour, by a whole day.
CHANGES = {
    "America/New_York": (datetime(2026, 3, 8, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    "Europe/Berlin": (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 10, 3, 12, tzinfo=UTC)),
    "America/St_Johns": (datetime(2006, 10, 29, tzinfo=UTC), datetime(2006, 4, 2, tzinfo=UTC)),
    "Pacific/Apia": (datetime(2011, 12, 29, 12, tzinfo=UTC),),
    "Asia/Kolkata": (datetime(2026, 1, 1, tzinfo=UTC),),
}


def naive(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Minutes of work, by looking at the wall every minute."""
    count, instant = 0, start
    while instant < end:
        wall = instant.astimezone(calendar.zone)
        minute = wall.hour * 60 + wall.minute
        if wall.date() not in calendar.holidays:
            count += any(opens <= minute < closes for opens, closes in calendar.week[wall.weekday()])
        instant += MINUTE
    return count


@st.composite
def weeks(draw: st.DrawFn) -> tuple[tuple[tuple[int, int], ...], ...]:
    days = []
    for _ in range(7):
        edges = sorted(draw(st.sets(st.integers(0, 1440), max_size=6)))
        days.append(tuple(zip(edges[::2], edges[1::2], strict=False)))
    return tuple(days)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Calendar, datetime, datetime]:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    around = draw(st.sampled_from(CHANGES[zone]))
    start = around + draw(st.integers(-2000, 1000)) * MINUTE
    end = start + draw(st.integers(0, 4000)) * MINUTE
    holidays = draw(st.sets(st.dates(around.date() - timedelta(2), around.date() + timedelta(2)), max_size=2))
    return Calendar(ZoneInfo(zone), draw(weeks()), frozenset(holidays)), start, end


@settings(deadline=None)
@given(cases())
def test_it_agrees_with_looking_at_the_wall_every_minute(case: tuple[Calendar, datetime, datetime]) -> None:
    calendar, start, end = case
    assert working_time_between(calendar, start, end) == naive(calendar, start, end) * MINUTE


@settings(deadline=None)
@given(cases(), st.integers(1, 60 * 24 * 5), st.integers(0, 59))
def test_adding_finds_the_first_instant_by_which_the_time_has_passed(
    case: tuple[Calendar, datetime, datetime], minutes: int, seconds: int
) -> None:
    calendar, start, _ = case
    assume(any(calendar.week))
    work = timedelta(minutes=minutes, seconds=seconds)
    due = working_time_add(calendar, start, work)
    assert working_time_between(calendar, start, due) == work
    assert working_time_between(calendar, start, due - timedelta(seconds=1)) == work - timedelta(seconds=1)


@settings(deadline=None)
@given(cases(), st.integers(0, 4000))
def test_time_splits_anywhere(case: tuple[Calendar, datetime, datetime], at: int) -> None:
    calendar, start, end = case
    middle = min(end, start + at * MINUTE)
    parts = working_time_between(calendar, start, middle) + working_time_between(calendar, middle, end)
    assert parts == working_time_between(calendar, start, end)


@settings(deadline=None)
@given(cases(), st.integers(0, 3000), st.integers(0, 3000))
def test_more_work_is_never_due_earlier(case: tuple[Calendar, datetime, datetime], one: int, other: int) -> None:
    calendar, start, _ = case
    assume(any(calendar.week))
    less, more = sorted((one, other))
    assert working_time_add(calendar, start, less * MINUTE) <= working_time_add(calendar, start, more * MINUTE)


def test_a_shift_with_a_pause_and_a_holiday() -> None:
    shift = {"from": "09:00", "to": "12:00"}, {"from": "13:00", "to": "17:30"}
    week = {day: list(shift) for day in ("mon", "tue", "wed", "thu", "fri")}
    calendar = CalendarDefinition.model_validate(
        {"label": "Office", "zone": "America/New_York", "week": week, "holidays": ["2026-11-26"]}
    ).calendar()
    wednesday = datetime(2026, 11, 25, 11, 30, tzinfo=ZoneInfo("America/New_York"))
    for minutes, (day, hour, minute) in (
        (30, (25, 12, 0)),
        (31, (25, 13, 1)),
        (300, (25, 17, 30)),
        (301, (27, 9, 1)),
        (750, (27, 17, 30)),
        (751, (30, 9, 1)),
    ):
        due = datetime(2026, 11, day, hour, minute, tzinfo=calendar.zone)
        assert working_time_add(calendar, wednesday, minutes * MINUTE) == due, minutes


def test_no_work_is_due_at_once_and_no_calendar_without_work_promises_anything() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert working_time_add(ROUND_THE_CLOCK, now, timedelta()) == now
    assert working_time_add(ROUND_THE_CLOCK, now, timedelta(days=9)) == now + timedelta(days=9)
    never = Calendar(UTC, (((0, 60),),) + ((),) * 6, frozenset({date(2026, 1, 5)}))
    assert working_time_add(never, now, MINUTE) == datetime(2026, 1, 12, 0, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="has not that much"):
        working_time_add(Calendar(UTC, ((),) * 7), now, MINUTE)
