"""Leaves beyond a trait and a count: sequences, events beside events, elements of lists, places, ranges."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common import rules
from perennial.common.rules import Occurrence, View
from perennial.common.rules.sql.places import near_sql
from perennial.common.rules.sql.values import Binds
from perennial.common.rules.values.places import Around, cosine, near_check, sine_of_half

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WHO = UUID(int=1)
TOYS = {"any_of": "products", "where": [{"property": "category", "is": "toys"}, {"property": "price", "gte": 50}]}


def happened(**days_ago: list[float]) -> View:
    """Occurrences of events by name, so many days ago."""
    events = {name: [Occurrence(NOW - n * DAY) for n in sorted(ago, reverse=True)] for name, ago in days_ago.items()}
    return View(WHO, events=events)


def holds(document: dict[str, Any], view: View, now: datetime = NOW) -> bool:
    return rules.compile(rules.parse(document))(view, now)


def flip(document: dict[str, Any], view: View) -> float | None:
    at = rules.next_flip(rules.parse(document), view, NOW)
    return None if at is None else (at - NOW) / DAY


FUNNEL: dict[str, Any] = {"sequence": [{"event": "a"}, {"event": "b", "within": "P1D"}, {"event": "c"}]}


@pytest.mark.parametrize(
    ("more", "view", "answer"),
    [
        ({}, happened(a=[9], b=[8], c=[1]), True),
        ({}, happened(a=[9], b=[7.9], c=[1]), False),  # too long after
        ({}, happened(a=[9, 8.5], b=[7.9], c=[1]), True),  # a later one begins anew
        ({}, happened(a=[8], b=[8], c=[1]), False),  # at once is not after
        ({}, happened(a=[9], b=[8], c=[8.5]), False),
        ({}, happened(a=[9], b=[8], c=[-1]), False),  # not yet
        ({"within": "P9D"}, happened(a=[9], b=[8], c=[1]), False),
        ({"within": "P10D"}, happened(a=[9], b=[8], c=[1]), True),
        ({"span": "P7D"}, happened(a=[9], b=[8], c=[1]), False),
        ({"span": "P7D"}, happened(a=[9, 3], b=[8, 2.5], c=[1]), True),
        ({"span": "P7D"}, happened(a=[9, 3], b=[8], c=[1]), False),
    ],
)
def test_a_funnel_is_gone_through_in_order(more: dict[str, Any], view: View, answer: bool) -> None:
    assert holds(FUNNEL | more, view) is answer


def test_whoever_did_not_go_on_is_found_by_not() -> None:
    document = {"all": [{"event": "a"}, {"not": {"sequence": [{"event": "a"}, {"event": "b", "within": "P1D"}]}}]}
    assert holds(document, happened(a=[3], b=[1]))
    assert not holds(document, happened(a=[3], b=[2.5]))


def test_a_sequence_is_explained_by_how_far_it_came() -> None:
    told = rules.explain(rules.parse(FUNNEL), happened(a=[9, 8.5], b=[8]), NOW)
    assert (told.holds, told.value) == (False, 2)
    assert [item.at for item in told.evidence] == [NOW - 8 * DAY, NOW - 8.5 * DAY]
    whole = rules.explain(rules.parse(FUNNEL), happened(a=[9], b=[8], c=[7, 5]), NOW)
    assert (whole.holds, whole.value, len(whole.evidence)) == (True, 3, 3)
    late = rules.explain(rules.parse(FUNNEL | {"span": "P1D"}), happened(a=[9], b=[8], c=[7, 5]), NOW)
    assert (late.holds, late.value, len(late.evidence)) == (False, 2, 2)


def test_a_sequence_changes_with_the_clock() -> None:
    assert flip(FUNNEL | {"within": "P10D"}, happened(a=[9], b=[8], c=[1])) == 1
    assert flip(FUNNEL, happened(a=[9], b=[8], c=[-2])) == 2
    assert flip(FUNNEL, happened(a=[9], b=[8], c=[2])) is None


CART = {"event": "cart", "not_followed_by": {"event": "order", "within": "P1D"}}


def test_an_abandoned_cart_is_one_after_its_time() -> None:
    """Before that nobody knows."""
    assert not holds(CART, happened(cart=[0.5]))
    assert flip(CART, happened(cart=[0.5])) == 0.5
    assert holds(CART, happened(cart=[1]))
    assert not holds(CART, happened(cart=[2], order=[1]))  # the last instant still counts
    assert holds(CART, happened(cart=[2], order=[0.9]))
    assert flip(CART, happened(cart=[0.5], order=[-0.25])) is None


def test_events_are_beside_one_another() -> None:
    paid = {"event": "order", "preceded_by": {"event": "coupon", "within": "P7D"}, "count": {"gte": 1}}
    assert holds(paid, happened(order=[1], coupon=[8]))
    assert not holds(paid, happened(order=[1], coupon=[8.1]))
    assert not holds(paid, happened(order=[1], coupon=[1]))
    alone = {"event": "order", "not_preceded_by": {"event": "coupon", "within": "P7D"}}
    assert holds(alone, happened(order=[1], coupon=[8.1]))
    again = {"event": "order", "followed_by": {"event": "order", "within": "P30D"}, "count": {"eq": 2}}
    assert holds(again, happened(order=[60, 50, 40]))
    assert (
        flip({"event": "order", "followed_by": {"event": "gift", "within": "P3D"}}, happened(order=[1], gift=[-2])) == 2
    )


def test_one_element_holds_all_of_it() -> None:
    cheap, dear = {"category": "toys", "price": 5}, {"category": "books", "price": 80}
    view = View(WHO, events={"order": [Occurrence(NOW, {"products": [cheap, dear]})]})
    apart = [{"property": "products[].category", "is": "toys"}, {"property": "products[].price", "gte": 50}]
    assert holds({"event": "order", "where": apart}, view)
    assert not holds({"event": "order", "where": [TOYS]}, view)
    assert holds({"event": "order", "where": [{"none_of": "products", "where": TOYS["where"]}]}, view)
    assert not holds(TOYS, View(WHO, {"products": [cheap, dear]}))
    assert holds(TOYS, View(WHO, {"products": [cheap, {**cheap, "price": "50"}]}))
    told = rules.explain(rules.parse(TOYS), View(WHO, {"products": [cheap, dear]}), NOW)
    assert (told.value, told.phrase) == (
        [cheap, dear],
        "one of products has (category is “toys” and price is at least 50)",
    )


def test_dates_inside_elements_come_by_themselves() -> None:
    due = {"any_of": "cards", "where": [{"property": "ends", "within_next": "P2D"}, {"property": "kind", "is": "gold"}]}
    view = View(WHO, {"cards": [{"ends": (NOW + 5 * DAY).isoformat(), "kind": "gold"}]})
    assert flip(due, view) == 3


def test_different_values_are_counted_once() -> None:
    seen = [Occurrence(NOW, {"city": city}) for city in ("Rome", "rome", 5, "5", "5.0", None, ["Rome"], True)]
    told = rules.explain(
        rules.parse({"event": "page", "distinct": {"property": "city", "gte": 5}}),
        View(WHO, events={"page": seen}),
        NOW,
    )
    assert (told.holds, told.value) == (True, 5)  # Rome, rome, 5, 5.0, true


@pytest.mark.parametrize(
    ("value", "limits", "answer"),
    [
        (18, [18, 30], True),
        ("30", [18, 30], True),
        (30.01, [18, 30], False),
        ("2026-01-01", ["2026-01-01", "2026-02-01"], True),
        ("2026-02-01", ["2026-01-01", "2026-02-01"], False),
        ("soon", [18, 30], False),
    ],
)
def test_a_range_has_two_ends(value: object, limits: list[Any], answer: bool) -> None:
    assert holds({"trait": "x", "between": limits}, View(WHO, {"x": value})) is answer


@pytest.mark.parametrize(
    ("place", "km"),
    [
        ({"lat": 31.1979, "lng": 121.3363}, 16.2),  # Hongqiao to the Bund
        ({"latitude": "39.9042", "longitude": "116.4074"}, 1068),  # Beijing
        ({"lat": -31.2397, "lng": -58.5008}, 20015),  # the other side of the earth
    ],
)
def test_distances_are_those_of_the_globe(place: dict[str, Any], km: float) -> None:
    bund = {"latitude": 31.2397, "longitude": 121.4992}
    view = View(WHO, {"home": place})
    assert holds({"trait": "home", "near": {**bund, "km": km * 1.01 if km < 20000 else 20016}}, view)
    assert not holds({"trait": "home", "near": {**bund, "km": km * 0.99}}, view)


def test_the_date_line_is_no_wall() -> None:
    near = {"latitude": 0, "longitude": 180, "km": 100}
    assert holds({"trait": "at", "near": near}, View(WHO, {"at": {"lat": 0, "lng": -179.9}}))
    assert not holds({"trait": "at", "near": near}, View(WHO, {"at": {"lat": 0, "lng": 0}}))


@given(st.floats(-180, 180))
def test_our_sine_is_the_sine(degrees: float) -> None:
    assert math.isclose(sine_of_half(degrees), math.sin(math.radians(degrees) / 2), rel_tol=1e-14)
    assert math.isclose(cosine(degrees), math.cos(math.radians(degrees)), rel_tol=1e-14, abs_tol=1e-15)


degrees = st.decimals(-90, 90, places=8) | st.sampled_from([Decimal(n) for n in ("0", "90", "-90", "0.00000005")])


@settings(max_examples=60, deadline=None)
@given(points=st.lists(st.tuples(degrees, degrees), min_size=20, max_size=20), centre=st.tuples(degrees, degrees))
async def test_postgres_comes_to_the_same_bit(
    facts_engine: Any, points: list[tuple[Decimal, Decimal]], centre: tuple[Decimal, Decimal]
) -> None:
    """The first point lies due north or south, as far away as the radius is: on the rim, or a hair beside it."""
    north, east = round(centre[0], 6), round(centre[1], 6)
    points = [(points[0][0], east / 2), *points[1:]]
    km = min(20_000, max(1, round(6371.0088 * math.radians(abs(float(points[0][0] - north))), 9)))
    around = Around.model_validate({"latitude": north, "longitude": east, "km": km})
    inside, binds = near_check(around), Binds()
    near = near_sql(around, "p.place", binds)
    query = f"SELECT {near} FROM unnest(CAST(:places AS jsonb[])) WITH ORDINALITY AS p(place, n) ORDER BY n"
    places = [f'{{"lat": {lat}, "lng": {lng * 2}}}' for lat, lng in points]
    async with facts_engine.connect() as connection:
        found = (await connection.execute(text(query), {**binds.values, "places": places})).scalars().all()
    assert found == [inside({"lat": lat, "lng": lng * 2}, NOW) for lat, lng in points]


def test_a_footprint_knows_what_lies_beside() -> None:
    reads = rules.footprint(rules.parse({"all": [
        {"event": "a", "within": "P7D", "preceded_by": {"event": "b", "where": [TOYS], "within": "P3D"}},
        {"event": "c", "within": {"last": "month"}, "followed_by": {"event": "d", "within": "P9D"}},
        {"sequence": [{"event": "e"}, {"event": "f", "where": [TOYS]}], "within": "P1D"},
        {"none_of": "cars", "where": [{"property": "year", "gte": 2020}]},
    ]}))  # fmt: skip
    assert reads.traits == {"cars", "timezone", "time_zone"}
    assert reads.events == set("abcdef")
    assert reads.detailed == {"b", "f"}
    assert reads.look_back == timedelta(days=64)
    assert rules.footprint(rules.parse({"event": "a", "within": "P7D"})).traits == frozenset()
    back = rules.footprint(rules.parse({"event": "a", "within": "P7D", "preceded_by": {"event": "b", "within": "P3D"}}))
    assert back.look_back == 10 * DAY


async def test_a_very_large_rule_is_still_a_query(facts: AsyncSession) -> None:
    steps = [{"event": f"e{n}"} for n in range(10)]
    units = ["day", "week", "month", "quarter", "year"]
    parts = [{"sequence": steps, "within": {"last": units[n % 5], "count": n // 5 + 1}} for n in range(90)]
    query = rules.to_sql(rules.parse({"any": parts}), NOW)
    assert len(query.params) < 32_767
    assert len(query.text) < 2_000_000
    few = rules.to_sql(rules.parse({"any": parts[:8]}), NOW)
    assert not (await facts.execute(text(few.text), few.params)).all()
