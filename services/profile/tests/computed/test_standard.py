"""The standard set, and what is computed from orders."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked
from perennial.profile.computed import standard, upgrading
from perennial.profile.computed.derive import served, values

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Declare = Callable[..., Awaitable[httpx.Response]]
Build = Callable[[], Awaitable[int]]
NOW = datetime.now(UTC).replace(microsecond=0)


def order(via: UUID, number: int, days: float, **more: Any) -> ResolvedEvent:
    """An order of so many days ago."""
    properties = {"order_id": str(number), "revenue": "10.00", "currency": "USD", **more}
    return tracked("Order Completed", properties, via=via, at=NOW - timedelta(days=days))


def page(via: UUID, minutes: float) -> ResolvedEvent:
    made = tracked("page", via=via, at=NOW - timedelta(minutes=minutes))
    return msgspec.structs.replace(made, type="page", name="Home")


async def shown(get: Show, customer: UUID) -> dict[str, Any]:
    return {item["key"]: item["value"] for item in await get(f"/v1/customers/{customer}/computed-traits")}


async def row_of(runtime: Runtime, customer: UUID) -> dict[str, Any]:
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT computed FROM customer WHERE customer_id = :id"), {"id": customer})
        return dict(found.scalar_one())


@pytest.mark.usefixtures("standard_set")
async def test_the_standard_set_is_there_from_the_first_day(
    hear: Hear, derive: Build, get: Show, runtime: Runtime
) -> None:
    via, nobody = uuid7(), uuid7()
    tea, cups = {"category": "tea"}, {"category": "cups"}
    await hear(
        order(via, 1, 30, products=[tea, tea, cups], discount=2),
        order(via, 2, 20, products=[cups, tea]),
        order(via, 3, 10, revenue="30.00"),
        order(via, 4, 5, revenue="99.00", discount=9),
        tracked("Order Refunded", {"order_id": "2", "total": "4.00"}, via=via),
        tracked("Order Cancelled", {"order_id": "4"}, via=via),
        *(page(via, minutes) for minutes in (600, 590, 575, 200, 3)),
        tracked("Looked", via=nobody),
    )
    await derive()
    wanted = {
        "orders": 3,
        "gmv": "50.00",
        "aov": "16.67",
        "last_order_at": (NOW - timedelta(days=10)).isoformat().replace("+00:00", "Z"),
        "mean_days_between_orders": 10,
        "favourite_category": "tea",
        "favourite_hour": NOW.hour,
        "channel_mix": {"shop": 3},
        "discount_share": 0.3333,  # of those that were not cancelled
        "return_rate": 0.3333,
        "sessions": 3,
        "dwell_minutes": 25,
    }
    assert wanted.keys() == standard.STANDARD.keys()
    assert await shown(get, via) == wanted
    assert await row_of(runtime, via) == wanted
    page_of = await get(f"/v1/customers/{via}")
    assert (page_of["orders"]["count"], page_of["orders"]["gmv"], page_of["orders"]["aov"]) == (3, "50.00", "16.67")
    assert await row_of(runtime, nobody) == {"orders": 0, "gmv": "0.00", "sessions": 0, "dwell_minutes": 0}
    listed = await get("/v1/computed-traits")
    assert {item["key"]: item["state"] for item in listed["items"]} == dict.fromkeys(wanted, "ready")


@pytest.mark.usefixtures("standard_set")
async def test_orders_count_for_whom_they_belong_to_whoever_speaks_of_them(
    hear: Hear, derive: Build, runtime: Runtime
) -> None:
    buyer, clerk = uuid7(), uuid7()
    await hear(order(buyer, 1, 3), order(buyer, 2, 2))
    await derive()
    await hear(tracked("Order Cancelled", {"order_id": "2"}, via=clerk))
    await derive()
    assert (await row_of(runtime, buyer))["orders"] == 1
    assert (await row_of(runtime, clerk))["orders"] == 0
    await hear(order(clerk, 1, 4))  # an earlier word on the first order: it was the clerk's all along
    await derive()
    assert ((await row_of(runtime, buyer))["orders"], (await row_of(runtime, clerk))["orders"]) == (0, 1)


@pytest.mark.usefixtures("standard_set")
async def test_the_orders_behind_a_value(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(order(via, 1, 3), order(via, 2, 2, revenue="7.50"))
    found = await get(f"/v1/customers/{via}/computed-traits/gmv")
    assert (found["value"], found["currency"], found["by_currency"]) == ("17.50", "USD", {"USD": "17.50"})
    assert [(item["order_id"], item["amount"]) for item in found["orders"]] == [("2", "7.50"), ("1", "10.00")]


async def test_windows_over_orders_end_to_the_instant(
    hear: Hear, declare: Declare, build: Build, get: Show, runtime: Runtime
) -> None:
    via = uuid7()
    await declare("orders_lately", source="orders", function="count", window="P30D")
    await declare("first_lately", source="orders", function="first", property="order_id", window="P30D")
    await declare("dear", source="orders", function="count", where=[{"property": "net", "gte": 10}])
    await declare("since_order", source="orders", function="days_since")
    await build()
    await hear(order(via, 1, 30.01), order(via, 2, 29), order(via, 3, 4, revenue="8.00"), order(via, 4, -2))
    async with runtime.database.read() as session:
        wanted = [item for item in await served(session) if item.key not in standard.STANDARD]
        for days, count, first, since in (
            (0, 2, "2", 0),
            (0.999, 2, "2", 0),
            (1.5, 1, "3", 0),
            (2, 2, "3", 0),
            (40, 0, None, 38),
        ):
            [found] = (await values(session, wanted, [via], NOW + timedelta(days=days))).values()
            shown_then = {key: value.value for key, value in found.items()}
            assert shown_then == {
                "orders_lately": count, "first_lately": first, "dear": 3, "since_order": since,
            }, days  # fmt: skip
        [found] = (await values(session, wanted, [via], NOW)).values()
        assert found["orders_lately"].changes == NOW + timedelta(days=1)
        [found] = (await values(session, wanted, [via], NOW + timedelta(days=40))).values()
        assert found["since_order"].changes == NOW + timedelta(days=2 + 45), "where the next line is drawn"


async def test_the_newest_event_says_what_was_taken_off_an_order(
    hear: Hear, derive: Build, get: Show, build: Build, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    spec = {"key": "saved", "label": {"en": "Saved"}, "source": "orders", "function": "sum", "property": "discount"}
    made = await client.post("/v1/computed-traits", json={**spec, "money": True})
    assert made.status_code == 201, made.text
    await build()
    updated = tracked("Order Updated", {"order_id": "1", "discount": "3.50"}, via=via, at=NOW - timedelta(days=1))
    await hear(updated)
    await hear(order(via, 1, 30, discount=2), order(via, 2, 20, discount="1.25"), order(via, 3, 10, discount="much"))
    await hear(tracked("Order Updated", {"order_id": "2", "total": "9.00"}, via=via, at=NOW - timedelta(hours=1)))
    await derive()
    assert (await shown(get, via))["saved"] == "4.75"
    await hear(tracked("Order Cancelled", {"order_id": "1"}, via=via))
    await derive()
    assert (await shown(get, via))["saved"] == "1.25"


@pytest.mark.usefixtures("standard_set")
async def test_an_hour_after_an_upgrade_discounts_are_taken_in_that_the_version_before_passed_over(
    hear: Hear, derive: Build, get: Show, build: Build, runtime: Runtime
) -> None:
    via = uuid7()
    await hear(order(via, 1, 30, discount=2), order(via, 2, 20))
    older = {"function": "share", "events": ["Order Completed"], "having": [{"gt": 0, "property": "discount"}]}
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM order_discount"))
        await session.execute(
            text("UPDATE computed_trait SET spec = CAST(:spec AS jsonb), version = 1 WHERE key = 'discount_share'"),
            {"spec": json.dumps(older)},
        )
    for _ in range(2):
        async with runtime.database.write() as session:
            await upgrading.finish(session, [])
    await build()
    await derive()
    assert (await shown(get, via))["discount_share"] == 0.5
    listed = {item["key"]: item for item in (await get("/v1/computed-traits"))["items"]}
    assert listed["discount_share"]["version"] == 2
