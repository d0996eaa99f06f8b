from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from perennial.demo.data import prepare, shifted
from perennial.demo.dataset import LAST_DAY, ZONE, instant
from perennial.demo.reference import compute
from perennial.demo.state import State

# 2017-03-05 falls on 2026-03-08, when clocks go forward, and 2017-10-29 on 2026-11-01, when they go back.
TO_THE_CHANGES = 3290


@pytest.mark.parametrize(
    ("paid", "days", "at"),
    [
        ("2017-07-01 15:00", 1, "2017-07-02 15:00"),
        ("2017-03-11 15:00", 1, "2017-03-12 14:00"),  # 10:00 on both sides of the change
        ("2017-03-11 07:30", 1, "2017-03-12 07:30"),  # 02:30 does not exist: it becomes 03:30
        ("2017-11-04 05:30", 1, "2017-11-05 05:30"),  # 01:30 comes twice: the first
        ("2017-11-05 06:30", 0, "2017-11-05 05:30"),  # the second 01:30 is taken as the first
        ("2018-01-01 04:01", 1, "2018-01-02 04:01"),  # still 31 December in the shops
    ],
)
def test_whole_days_on_the_clock_of_the_shops(paid: str, days: int, at: str) -> None:
    frame = pl.DataFrame({"paid": [datetime.fromisoformat(paid)]}).select(at=shifted("paid", days))
    assert frame["at"][0] == datetime.fromisoformat(at)


def test_every_wall_time_of_two_years_agrees_with_zoneinfo_and_keeps_its_day() -> None:
    hours = [datetime(2017, 1, 1) + timedelta(minutes=30 * n) for n in range(2 * 365 * 48)]  # noqa: DTZ001
    moved = pl.DataFrame({"paid": hours}).select(at=shifted("paid", TO_THE_CHANGES))["at"]
    for before, after in zip(hours, moved, strict=True):
        wall = before.replace(tzinfo=UTC).astimezone(ZONE).replace(tzinfo=None, fold=0)
        assert after == instant(wall + timedelta(days=TO_THE_CHANGES))
        assert after.replace(tzinfo=UTC).astimezone(ZONE).date() == wall.date() + timedelta(days=TO_THE_CHANGES)


@pytest.mark.parametrize("shift", [0, 1, TO_THE_CHANGES])
def test_both_paths_date_the_orders_alike(shift: int) -> None:
    load, files = prepare(shift, 5_000), compute(shift, 5_000)
    assert load.orders["at"].sort().to_list() == files.orders["at"].dt.replace_time_zone(None).sort().to_list()


def test_the_last_day_is_yesterday_in_the_shops(tmp_path: Path) -> None:
    # 03:30 UTC on the 22nd is still the 21st in New York.
    state = State.open(tmp_path, datetime(2026, 11, 22, 3, 30, tzinfo=UTC))
    assert timedelta(days=state.shift_days) == date(2026, 11, 20) - LAST_DAY
    assert ZONE.key == "America/New_York"


def test_a_later_run_shifts_alike(tmp_path: Path) -> None:
    first = State.open(tmp_path, datetime(2026, 11, 22, 12, tzinfo=UTC))
    first.lapsed = [4]
    first.save()
    later = State.open(tmp_path, datetime(2026, 12, 24, 12, tzinfo=UTC))
    assert later == first


def test_an_import_is_repeated_only_while_the_platform_recognises_it(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    state = State.open(tmp_path, now)
    assert state.repeatable(now)
    state.loaded_at = now.isoformat()
    assert state.repeatable(now + timedelta(days=29))
    assert not state.repeatable(now + timedelta(days=31))
