"""Earn rules are data: what they ask, what they count, how they add up and exclude each other."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked
from perennial.loyalty import worker
from perennial.loyalty.earning.asking import worth_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SATURDAY = datetime(2026, 5, 16, 12, tzinfo=UTC)
TEA = {"category": "Tea", "brand": "Leaf", "price": 10, "quantity": 2}
MUG = {"category": "Mugs", "brand": "Clay", "price": "30.00"}


def double(name: str, **condition: Any) -> dict[str, Any]:
    return {"name": name, "factor": 2, "condition": condition}


@pytest.mark.parametrize(
    ("rule", "properties", "points"),
    [
        ({"lines": {"trait": "category", "is": "Tea"}}, {"products": [TEA, MUG], "revenue": 50}, 20),
        ({"lines": {"trait": "brand", "in": ["Clay", "Leaf"]}}, {"products": [TEA, MUG], "revenue": 50}, 50),
        ({"lines": {"trait": "category", "is": "Tea"}}, {"products": [TEA, MUG], "revenue": "37.50"}, 15),
        ({"lines": {"trait": "category", "is": "Tea"}}, {"products": [TEA], "revenue": 99}, 20),
        ({"lines": {"trait": "category", "is": "Tea"}}, {"products": [MUG], "revenue": 30}, 0),
        ({"lines": {"trait": "category", "is": "Tea"}}, {"products": "Tea", "revenue": 30}, 0),
        ({"lines": {"trait": "category", "is": "Tea"}, "per": "item"}, {"products": [TEA, MUG], "revenue": 50}, 2),
        ({"per": "item", "points_per_unit": 5}, {"products": [TEA, MUG], "revenue": 50}, 15),
        ({"per": "event", "points_per_unit": 7}, {"revenue": 50}, 7),
        ({"per": "event", "points_per_unit": 7}, {}, 7),
        ({"condition": {"trait": "$amount", "gte": 50}}, {"revenue": 50}, 50),
        ({"condition": {"trait": "$amount", "gt": 50}}, {"revenue": 50}, 0),
        ({"condition": {"trait": "$source", "is": "shop"}}, {"revenue": 9}, 9),
        ({"condition": {"trait": "$source", "is": "app"}}, {"revenue": 9}, 0),
        ({"condition": {"trait": "$weekday", "in": ["sat", "sun"]}}, {"revenue": 9}, 9),
        ({"condition": {"trait": "$weekday", "is": "mon"}}, {"revenue": 9}, 0),
        ({"condition": {"trait": "$day", "after": "2026-05-16"}}, {"revenue": 9}, 9),
        ({"condition": {"trait": "$day", "before": "2026-05-16"}}, {"revenue": 9}, 0),
        ({"condition": {"trait": "$hour", "gte": 12}}, {"revenue": 9}, 9),
        ({"rounding": "floor", "points_per_unit": "0.5"}, {"revenue": 3}, 1),
        ({"rounding": "half_up", "points_per_unit": "0.5"}, {"revenue": 3}, 2),
        ({"rounding": "ceiling", "points_per_unit": "0.1"}, {"revenue": 1}, 1),
        ({"boosts": [double("weekend", trait="$weekday", is_="sat"), double("app", trait="channel", is_="app")]},
         {"revenue": 10, "channel": "app"}, 40),
        ({"boosting": "best",
          "boosts": [double("weekend", trait="$weekday", is_="sat"), double("app", trait="channel", is_="app")]},
         {"revenue": 10, "channel": "app"}, 20),
    ],
)  # fmt: skip
async def test_what_a_rule_gives(shop: Any, rule: Any, properties: Any, points: int) -> None:
    for boost in rule.get("boosts", ()):
        boost["condition"] = {name.rstrip("_"): value for name, value in boost["condition"].items()}
    via = uuid7()
    await shop.programme(LONG_AGO, earn_rules=[{"name": "x", **rule}])
    await shop.say(tracked("Order Completed", {"order_id": "1", **properties}, via=via, at=SATURDAY))
    assert await shop.balance(via) == points


@pytest.mark.parametrize(
    ("rules", "points"),
    [
        ([("a", 1, 0, None), ("b", 3, 0, None)], 40),
        ([("a", 1, 0, "g"), ("b", 3, 0, "g")], 30),
        ([("a", 1, 5, "g"), ("b", 3, 0, "g")], 10),
        ([("a", 0, 5, "g"), ("b", 3, 0, "g")], 30),
        ([("a", 1, 0, "g"), ("b", 3, 0, "h"), ("c", 2, 0, "g")], 50),
    ],
)
async def test_of_a_group_one_counts(shop: Any, rules: Any, points: int) -> None:
    via = uuid7()
    made = [
        {"name": name, "points_per_unit": rate, "priority": priority, "group": group}
        for name, rate, priority, group in rules
    ]
    await shop.programme(LONG_AGO, earn_rules=made)
    await shop.order(via, 10)
    assert await shop.balance(via) == points


async def test_birthdays_are_learnt_from_traits_whichever_identifier_told_them(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(phone, phone, mail)
    await shop.programme(
        LONG_AGO,
        earn_rules=[
            {"name": "x", "boosts": [
                {"name": "day", "factor": 2, "condition": {"trait": "$birthday", "is": True}},
                {"name": "month", "factor": 3, "condition": {"trait": "$birthday_month", "is": True}},
                {"name": "near", "factor": 5, "condition": {"trait": "$birthday_days", "lte": 3}},
            ]},
        ],
    )  # fmt: skip
    await shop.say(identified({"birthday": "1990-05-18"}, via=mail, at=SATURDAY))
    await shop.say(identified({"birthday": "1990-02-01"}, via=phone, at=SATURDAY - timedelta(days=9)))
    await shop.order(phone, 1, at=SATURDAY)
    assert await shop.balance(phone) == 15
    await shop.order(phone, 1, at=SATURDAY + timedelta(days=2))
    assert await shop.balance(phone) == 15 + 30
    await shop.say(identified({"birthday": None}, via=phone, at=SATURDAY + timedelta(days=1)))
    await shop.order(phone, 1, at=SATURDAY + timedelta(days=2))
    assert await shop.balance(phone) == 15 + 30 + 1


@pytest.mark.parametrize(
    ("said", "kept"), [("02-29", None), ("--02-29", "02-29"), ("1992-02-29T08:00:00Z", "02-29"), (19900518, None)]
)
async def test_a_birthday_is_a_month_and_a_day(shop: Any, said: Any, kept: str | None) -> None:
    await shop.say(identified({"birthday": said}, via=uuid7()))
    assert (await shop.session.execute(text("SELECT day FROM birthday"))).scalar_one() == kept


async def test_events_of_any_name_earn_once_whatever_is_repeated(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.programme(
        LONG_AGO,
        earn_rules=[
            {"name": "survey", "event": "survey 回答", "per": "event", "points_per_unit": 25},
            {"name": "tickets", "event": "Ticket Bought", "points_per_unit": 2},
        ],
    )
    event = tracked("survey 回答", {}, via=via, live=False)
    await shop.say(event, tracked("Other", {}, via=via))
    await worker.earn(shop.session, [event])  # as after the inbox has forgotten it
    await shop.say(tracked("Ticket Bought", {"value": "7.90"}, via=via))
    assert await shop.balance(via) == 25 + 15
    lines = (await client.get(f"/v1/loyalty/accounts/{via}/ledger")).json()["items"]
    assert {line["reason"] for line in lines} == {"survey 回答", "Ticket Bought"}


async def test_a_value_next_to_nothing_holds_nobody_up(shop: Any) -> None:
    via = uuid7()
    rule = {"name": "s", "event": "Survey", "lines": {"trait": "brand", "exists": True}}
    await shop.programme(LONG_AGO, earn_rules=[rule])
    dear = {"brand": "x", "price": 9e11, "quantity": 9e11}
    assert worth_of("Survey", {"value": "1e-999999999", "products": [dear]}) == 0, "as a fraction it has no end"
    await shop.say(tracked("Survey", {"value": "7.0000001", "products": [dear]}, via=via))
    assert await shop.balance(via) == 7


async def test_an_event_before_its_rule_earns_nothing(shop: Any) -> None:
    via = uuid7()
    await shop.programme(SATURDAY, earn_rules=[{"name": "s", "event": "Survey", "per": "event"}])
    await shop.say(tracked("Survey", {}, via=via, at=SATURDAY - timedelta(hours=1)))
    assert await shop.balance(via) == 0


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"first_order": True, "event": "Survey"}, "first_order: has a meaning for Order Completed alone"),
        ({"caps": [{"times": 1, "each": True}]}, "caps: each needs a subject"),
        ({"caps": [{"times": 1, "points": 2}]}, "one of points and times is needed"),
        ({"caps": [{"times": 1, "per": "event"}]}, "times: an event counts once"),
        ({"event": "Order Refunded"}, "is accounted for with Order Completed"),
        ({"event": "check-in"}, "check-in is no event that anybody sends"),
        ({"lines": {"event": "Order Completed"}}, "may ask about the event alone"),
        ({"boosts": [{"name": "a", "factor": 1, "condition": {"everyone": True}}] * 2}, "boosts: names must be unique"),
    ],
)
async def test_rules_that_cannot_be_say_why(client: httpx.AsyncClient, rule: Any, words: str) -> None:
    body = {"earn_rules": [{"name": "x", **rule}], "tiers": [{"name": "member", "threshold": 0}]}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422
    assert words in answer.text


async def test_windows_of_the_calendar_are_those_of_the_programme(shop: Any, settings: Any) -> None:
    shop.session.info["settings"] = settings.model_copy(update={"timezone": "Asia/Shanghai"})
    via = uuid7()
    opened = {"trait": "$day", "is": "2026-05-17"}
    fresh = {"trait": "member_since", "within": {"this": "month"}}
    await shop.programme(
        LONG_AGO,
        earn_rules=[
            {"name": "day", "condition": opened},
            {"name": "month", "points_per_unit": 10, "condition": fresh},
            {"name": "one", "points_per_unit": 100, "condition": {"any_of": "products", "where": [
                {"property": "category", "is": "茶"}, {"property": "price", "gte": 5}]}},
        ],
    )  # fmt: skip
    late = datetime(2026, 5, 16, 16, 30, tzinfo=UTC)
    said = {
        "member_since": "2026-04-30T17:00:00Z",
        "timezone": "America/New_York",
        "products": [{"category": "茶", "price": 5}],
    }
    await shop.order(via, 1, at=late, properties=said)
    assert await shop.balance(via) == 111
