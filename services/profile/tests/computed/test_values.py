"""Windows, words and numbers by themselves."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.profile.computed import partials
from perennial.profile.computed.partials import Partial, multirange, union, words
from perennial.profile.computed.spec import Spec
from perennial.profile.computed.values import evaluate, plain
from perennial.profile.computed.windows import bucket_of, exactly, unit_end, unit_start, window

QUICK = settings(max_examples=200, deadline=None, database=None)
ZONES = [ZoneInfo(name) for name in ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo")]
MICROSECOND = timedelta(microseconds=1)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
bys = st.sampled_from(["hour", "day", "calendar:day", "calendar:week", "calendar:month", "calendar:year"])


@QUICK
@given(at=instants, by=bys, hours=st.integers(1, 24 * 400), zone=st.sampled_from(ZONES))
def test_a_bucket_counts_until_the_instant_at_which_it_is_said_to_leave(
    at: datetime, by: str, hours: int, zone: ZoneInfo
) -> None:
    span = None if by.startswith("calendar:") else timedelta(hours=hours)
    bucket = bucket_of(by, zone)(at)
    covers = window(by, span, zone, at)
    assert covers.since <= bucket <= covers.until
    assert covers.leaves
    leaves = covers.leaves(bucket)
    before = window(by, span, zone, leaves - MICROSECOND)
    assert before.since <= bucket <= before.until
    assert window(by, span, zone, leaves).since > bucket
    if span:
        assert span <= leaves - at <= span + (timedelta(hours=1) if by == "hour" else timedelta(days=1))


@QUICK
@given(at=instants, hours=st.integers(1, 24 * 400))
def test_a_window_over_orders_is_exact(at: datetime, hours: int) -> None:
    span = timedelta(hours=hours)
    covers = exactly(span, None, ZONES[0], at)
    assert covers.leaves
    assert covers.leaves(at) == at + span
    assert exactly(span, None, ZONES[0], at + span).since > at
    assert exactly(span, None, ZONES[0], at + span - MICROSECOND).since <= at


@QUICK
@given(at=instants, unit=st.sampled_from(["day", "week", "month", "year"]), zone=st.sampled_from(ZONES))
def test_calendar_units_follow_each_other_without_a_gap(at: datetime, unit: str, zone: ZoneInfo) -> None:
    since, until = unit_start(at, unit, zone), unit_end(at, unit, zone)
    assert since <= at < until
    assert unit_start(until - MICROSECOND, unit, zone) == since
    assert unit_start(until, unit, zone) == until
    if unit == "week":
        assert since.astimezone(zone).isoweekday() == 1


def test_calendar_units_at_the_edge_of_time() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for unit in ("day", "week", "month", "year"):
        assert unit_start(first, unit, ZONES[1]) < unit_end(last, unit, ZONES[2])


@pytest.mark.parametrize(
    ("number", "written"),
    [("3", 3), ("3.50", 3.5), ("0.1", 0.1), ("123456789012345678", "123456789012345678"), ("1e20", "1" + 20 * "0"),
     ("0.12345678901234567", "0.12345678901234567"), ("-7.25", -7.25)],
)  # fmt: skip
def test_a_number_is_written_so_that_it_reads_back_exactly(number: str, written: object) -> None:
    assert plain(Decimal(number)) == written
    assert Decimal(str(plain(Decimal(number)))) == Decimal(number)


def test_money_is_never_mixed_and_the_deployments_currency_comes_first() -> None:
    spec = Spec(function="sum", events=["x"], property="price", money=True)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    usd, cny = Partial(), Partial()
    for partial, amounts in ((usd, ["0.105"]), (cny, ["100", "20.5"])):
        for amount in amounts:
            partial.number(at, Decimal(amount))
    found = evaluate(spec, {"USD": usd, "CNY": cny}, at, "EUR")
    assert (found.value, found.currency) == ("120.50", "CNY"), "the one of most events where the own is missing"
    assert found.by_currency == {"CNY": "120.50", "USD": "0.10"}, "half-even"
    assert evaluate(spec, {"USD": usd, "CNY": cny}, at, "USD").value == "0.10"


@QUICK
@given(
    seen=st.lists(st.tuples(st.integers(0, 3), st.text("abcdef", min_size=1, max_size=2)), max_size=60),
    order=st.randoms(use_true_random=False),
)
def test_words_beyond_the_most_are_left_out_alike_in_any_order(seen: list[tuple[int, str]], order: object) -> None:
    """Identifiers drop what is too much by themselves, and together they know no less than one that saw all."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    most, partials.MOST_WORDS = partials.MOST_WORDS, 5
    try:
        apart: list[dict[str, Partial]] = [{}, {}, {}, {}]
        order.shuffle(seen)  # type: ignore[attr-defined]
        for who, word in seen:
            mine = apart[who]
            mine.setdefault(word, Partial()).at(at)
            kept = words(mine)
            apart[who] = dict(kept.kept) | ({"": Partial(n=kept.others)} if kept.others else {})
        together: dict[str, Partial] = {}
        for mine in apart:
            for word, partial in mine.items():
                together.setdefault(word, Partial()).at(at, partial.n)
        found, every = words(together), Counter(word for _, word in seen)
        chosen = sorted(every, key=partials.digest)[:5]
        assert {word: partial.n for word, partial in found.kept.items()} == {word: every[word] for word in chosen}
        assert found.others == sum(every.values()) - sum(every[word] for word in chosen)
        assert found.complete == (len(every) <= 5)
    finally:
        partials.MOST_WORDS = most


def test_how_many_there_are_is_estimated_beyond_the_most() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    found: dict[str, Partial] = {}
    for number in range(20_000):
        found.setdefault(f"word {number}", Partial()).at(at)
    spec = Spec(function="unique_count", events=["x"], property="word")
    value = evaluate(spec, found, at, "USD")
    assert not value.complete
    assert abs(value.value - 20_000) < 2_000


def test_spans_that_touch_are_one() -> None:
    assert union([(5, 9), (0, 5), (20, 30), (21, 22)]) == [(0, 9), (20, 30)]
    assert multirange([(0, 5), (5, 9), (20, 21)]) == "{[0,9),[20,21)}"
    assert multirange([]) is None
