"""Between two runs: orders, refunds, merges and splits move their own customers, and rules see it."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.facts import service as facts

Hear = Callable[..., Awaitable[None]]
Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]
Settle = Callable[[], Awaitable[None]]
Shop = Callable[..., Awaitable[list[UUID]]]
Standing = Callable[..., Awaitable[dict[str, Any]]]
KEY = {"Idempotency-Key": "once"}


async def test_an_order_moves_its_customer_at_once_and_nobody_else(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, standing: Standing, shop: Shop
) -> None:
    customers = await shop()
    await run()
    before = {customer: await standing(customer) for customer in customers}
    assert [before[customer]["r"] for customer in customers] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert before[customers[0]]["group"] == "lost"
    await hear(*[bought(customers[0], 1000) for _ in range(20)])
    after = {customer: await standing(customer) for customer in customers}
    moved = after.pop(customers[0])
    assert (moved["r"], moved["f"], moved["m"], moved["group"], moved["class"]) == (
        5,
        5,
        5,
        "champions",
        "important_value",
    )
    assert after == {customer: before[customer] for customer in customers[1:]}
    async with database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM rfm_scoring"))).scalar_one() == 1


async def test_what_came_back_takes_a_customer_out_and_in_again(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run, standing: Standing, shop: Shop
) -> None:
    order = bought(days=3)
    await shop(4)
    await hear(order)
    await run()
    assert (await standing(order.via))["frequency"] == 1
    number = {"order_id": order_id(order)}
    await hear(tracked("Order Cancelled", number, via=order.via))
    assert (await client.get(f"/v1/rfm/customers/{order.via}")).status_code == 404
    listed = (await client.get("/v1/rfm/customers?limit=200")).json()["items"]
    assert str(order.via) not in {item["customer_id"] for item in listed}
    assert (await client.get("/v1/rfm/summary")).json()["customers"] == 4
    await hear(bought(order.via))
    assert (await standing(order.via))["frequency"] == 1


def order_id(event: Any) -> str:
    found: str = msgspec.json.decode(event.body)["properties"]["order_id"]
    return found


async def test_a_merge_counts_both_histories_and_a_split_takes_them_apart(
    database: BoundDatabase, run: Run, settle: Settle, standing: Standing, shop: Shop
) -> None:
    customers = await shop()
    await run()
    one, other = customers[2], customers[7]
    before = [await standing(customer) for customer in (one, other)]

    async def assign(customer: UUID, version: int) -> None:
        async with database.write() as session:
            said = [Assignment(via=other, customer=customer, version=version)]
            await facts.follow_map(session, await identity_map.apply(session, said))
        await settle()

    await assign(one, 2)
    merged = await standing(other)
    assert (merged["customer_id"], merged["frequency"], merged["monetary"]) == (str(one), 11, "730.00")
    assert merged == await standing(one)
    await assign(other, 3)
    assert [await standing(customer) for customer in (one, other)] == before


async def test_each_currency_has_standings_of_its_own(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run, standing: Standing
) -> None:
    both = bought(revenue=5)
    await hear(both, bought(both.via, 7, currency="CNY"), bought(revenue=9))
    await run()
    assert (await standing(both.via))["monetary"] == "5.00"
    assert (await standing(both.via, "CNY"))["monetary"] == "7.00"
    newest = (await client.get("/v1/rfm/runs")).json()["items"][0]
    assert (await client.get(f"/v1/rfm/runs/{newest['id']}")).json()["currencies"] == ["USD", "CNY"]
    assert (await client.get(f"/v1/rfm/customers/{both.via}?currency=dollars")).status_code == 422


async def test_rules_ask_where_a_customer_stands(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run, settle: Settle, shop: Shop
) -> None:
    customers = await shop()
    await run()
    rule = {"all": [{"trait": "rfm.group", "is": "champions"}, {"trait": "rfm.m", "gte": 5}]}
    made = await client.post("/v1/segments", json={"name": "best", "rule": rule}, headers=KEY)
    assert made.status_code == 201, made.text
    await settle()

    async def members() -> set[str]:
        items = (await client.get(f"/v1/segments/{made.json()['id']}/members")).json()["items"]
        return {item["customer_id"] for item in items}

    assert await members() == {str(customer) for customer in customers[8:]}
    await hear(*[bought(customers[0], 1000) for _ in range(20)])
    assert await members() == {str(customers[n]) for n in (0, 8, 9)}
    liar = identified({"rfm": {"group": "champions", "m": 5}}, via=customers[1])
    await hear(liar)
    assert await members() == {str(customers[n]) for n in (0, 8, 9)}
    await run()
    await settle()
    assert await members() == {str(customers[n]) for n in (0, 9)}


async def test_who_sees_no_fields_may_ask_where_customers_stand(
    client: httpx.AsyncClient, token: Callable[..., str], run: Run, settle: Settle, shop: Shop
) -> None:
    await shop(3)
    await run()
    await settle()
    nobody = {"Authorization": f"Bearer {token('segments:read', fields=())}"}
    rule = {"trait": "rfm.r", "gte": 2}
    tried = await client.post("/v1/segments/preview", json={"rule": rule}, headers=nobody)
    assert (tried.status_code, tried.json().get("count")) == (200, 2), tried.text
