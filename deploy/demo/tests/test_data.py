import json
from collections import Counter, defaultdict
from decimal import Decimal

from perennial.demo.client import Json
from perennial.demo.data import Load, prepare
from perennial.demo.reference import Reference, compute

SHIFT, LIMIT = 3247, 3_000
EVENT_BYTES = 32 * 1024


def decoded(load: Load) -> list[Json]:
    return [json.loads(event, parse_float=Decimal) for chunk in load.chunks() for event in chunk]


def test_the_data_are_what_is_known_of_them(everything: Load, files: Reference) -> None:
    assert everything.orders.height == files.orders.height == 155_370
    assert len(files.households) == 2_469
    assert files.gmv == Decimal("4596039.58")
    assert everything.events == 155_370 + 2_469 + 2_102


def test_every_event_fits_and_comes_in_time_order_under_its_own_id(everything: Load) -> None:
    ids: set[str] = set()
    before = ""
    for chunk in everything.chunks():
        for text in chunk:
            # Clients measure with Python's encoder: spaces, and escapes for what is not ASCII.
            event = json.loads(text)
            assert len(json.dumps(event)) < EVENT_BYTES
            assert before <= event["timestamp"]
            before = event["timestamp"]
            ids.add(event["messageId"])
    assert len(ids) == everything.events
    assert max(map(len, ids)) <= 100


def test_orders_carry_the_sums_of_the_reference(sample: Load) -> None:
    spent: dict[str, Decimal] = defaultdict(Decimal)
    points: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for event in decoded(sample):
        if event.get("event") == "Order Completed":
            order = event["properties"]
            assert order["revenue"] == sum(line["price"] * line["quantity"] for line in order["products"])
            spent[event["userId"]] += order["revenue"]
            points[event["userId"]] += int(order["revenue"])
            count[event["userId"]] += 1
    households = compute(SHIFT, LIMIT).households
    assert spent == {f"household-{key}": home.monetary for key, home in households.items()}
    assert points == {f"household-{key}": home.points for key, home in households.items()}
    assert count == {f"household-{key}": home.frequency for key, home in households.items()}


def test_both_paths_agree_on_every_household(everything: Load, files: Reference) -> None:
    rows = everything.orders.group_by("household_id").agg("cents")
    for household, cents in rows.iter_rows():
        home = files.households[household]
        assert (len(cents), sum(cents), sum(c // 100 for c in cents)) == (
            home.frequency,
            int(home.monetary * 100),
            home.points,
        )


def test_who_is_identified(sample: Load) -> None:
    identified = {event["userId"]: event["traits"] for event in decoded(sample) if event["type"] == "identify"}
    assert identified.keys() == {f"household-{key}" for key in compute(SHIFT, LIMIT).households}
    known = identified["household-900"]
    assert known["email"] == "household-900@example.com"
    assert known["age_range"] == "35-44"
    assert known["household_id"] == 900
    unknown = next(traits for traits in identified.values() if "email" not in traits)
    assert unknown.keys() == {"household_id"}, "nothing is known, nothing is said"


def test_coupons_are_redeemed_with_an_order_of_the_day(everything: Load) -> None:
    texts = (text for chunk in everything.chunks() for text in chunk)
    events = [json.loads(text) for text in texts if '"event":"Coupon Applied"' in text]
    orders = {str(order) for order in everything.orders["basket_id"]}
    named = [event["properties"]["order_id"] for event in events if "order_id" in event["properties"]]
    assert len(events) == 2_102
    assert len(named) == 2_098
    assert set(named) <= orders


def test_the_same_again_is_the_same(sample: Load) -> None:
    assert list(prepare(SHIFT, LIMIT).chunks()) == list(sample.chunks())


def test_a_smaller_load_is_a_part_of_a_larger_one(sample: Load) -> None:
    few = {event["messageId"]: event for event in decoded(prepare(SHIFT, 500))}
    more = {event["messageId"]: event for event in decoded(sample)}
    assert all(more[key] == event for key, event in few.items())
    assert sum(event.get("event") == "Order Completed" for event in few.values()) == 500


def test_one_order_is_enough(files: Reference) -> None:
    load = prepare(SHIFT, 1)
    assert load.events == 2
    assert [shopper.household for shopper in load.shoppers()] == [900]


def test_shoppers_are_the_latest_first_with_something_to_buy(everything: Load) -> None:
    shoppers = everything.shoppers()
    assert len(shoppers) == 2_469
    assert sum(shopper.email for shopper in shoppers) == 801
    line = shoppers[0].line
    assert line["price"] > 0
    assert line["product_id"]
