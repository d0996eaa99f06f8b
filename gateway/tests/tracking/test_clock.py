"""Corrected timestamps, and what is live."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.gateway.tracking import clock

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def correct(
    timestamp: datetime | None = None,
    original: datetime | None = None,
    sent: datetime | None = None,
    *,
    imported: bool = False,
) -> clock.Moment:
    return clock.correct(timestamp=timestamp, original=original, sent=sent, received=NOW, imported=imported)


def test_a_device_one_day_fast() -> None:
    assert correct(original=NOW + 23 * HOUR, sent=NOW + DAY).timestamp == NOW - HOUR
    assert correct(timestamp=NOW + 23 * HOUR, sent=NOW + DAY).timestamp == NOW - HOUR


def test_both_timestamps_mean_that_the_client_set_one() -> None:
    assert correct(timestamp=NOW - 3 * HOUR, original=NOW, sent=NOW + DAY).timestamp == NOW - 3 * HOUR


def test_without_sent_at_the_original_stands() -> None:
    assert correct(original=NOW - HOUR).timestamp == NOW - HOUR
    assert correct(timestamp=NOW - HOUR).timestamp == NOW - HOUR


def test_without_any_time_it_happened_when_it_arrived() -> None:
    assert correct().timestamp == NOW
    assert correct(sent=NOW - DAY).timestamp == NOW


def test_nothing_happens_later_than_it_arrives() -> None:
    assert correct(timestamp=NOW + HOUR).timestamp == NOW
    assert correct(original=NOW + HOUR, sent=NOW).timestamp == NOW
    assert correct(timestamp=NOW + HOUR, original=NOW).timestamp == NOW


def test_live_is_newer_than_a_day_by_the_corrected_time() -> None:
    assert correct(original=NOW - 23 * HOUR, sent=NOW).live
    assert not correct(original=NOW - 24 * HOUR, sent=NOW).live
    assert correct(original=NOW - 400 * DAY - HOUR, sent=NOW - 400 * DAY).live, "only the device's clock is old"


def test_live_goes_by_arrival_where_the_client_sent_no_sent_at() -> None:
    assert correct(timestamp=NOW - 30 * DAY).live


def test_an_import_is_never_live() -> None:
    assert not correct(imported=True).live
    assert not correct(timestamp=NOW, sent=NOW, imported=True).live


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-02T03:04:05.678Z", datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)),
        ("2026-01-02T03:04:05.678901+00:00", datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)),
        ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        (" 2026-01-02 ", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_iso_8601(text: str, instant: datetime) -> None:
    assert clock.parse(text) == instant


@pytest.mark.parametrize(
    "value", [None, "", "yesterday", 1700000000, True, {}, "0001-01-01T00:00:00+14:00", "1969-12-31", "2026-13-01"]
)
def test_what_cannot_be_an_instant_is_absent(value: object) -> None:
    assert clock.parse(value) is None


instants = st.none() | st.integers(0, 253_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(instants, instants, instants, st.booleans())
def test_any_clock_gives_a_storable_instant(
    timestamp: datetime | None, original: datetime | None, sent: datetime | None, imported: bool
) -> None:
    found = correct(timestamp, original, sent, imported=imported)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= found.timestamp <= NOW
    assert not (imported and found.live)
