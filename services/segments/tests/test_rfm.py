"""RFM: exact sums, fair bands, and every way an order can end."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.facts import service as facts
from perennial.segments.rfm.runs import service
from perennial.segments.rfm.runs.computing import compute_next

NOW = datetime.now(UTC)
Settle = Callable[[], Awaitable[None]]


async def hear(database: BoundDatabase, *events: Any) -> None:
    async with database.write() as session:
        await identity_map.learn(session, events)
        await facts.record(session, list(events))
    await run(database)


async def run(database: BoundDatabase) -> None:
    async with database.write() as session:
        await service.want(session, "asked")
    assert await compute_next(database)


def said(name: str, order_id: str, *, via: UUID | None = None, days: float = 0, **properties: Any) -> Any:
    return tracked(name, {"order_id": order_id, **properties}, via=via, at=NOW - timedelta(days=days))


async def test_sums_are_exact_and_recency_is_in_calendar_days(
    client: httpx.AsyncClient, database: BoundDatabase
) -> None:
    first = said("Order Completed", "1", days=10, revenue="0.10")
    more = [said("Order Completed", str(n), via=first.via, days=n, revenue="0.20") for n in (3, 4)]
    await hear(database, first, *more)
    standing = (await client.get(f"/v1/rfm/customers/{first.via}")).json()
    expected = (NOW.date() - more[0].timestamp.date()).days
    assert (standing["frequency"], standing["monetary"], standing["currency"]) == (3, "0.50", "USD")
    assert standing["recency_days"] == expected
    assert (await client.get(f"/v1/rfm/customers/{uuid4()}")).status_code == 404


async def test_an_order_counts_once_and_what_came_back_does_not(
    client: httpx.AsyncClient, database: BoundDatabase
) -> None:
    via = uuid4()
    await hear(
        database,
        said("Order Refunded", "part", via=via, total=4),
        said("Order Completed", "part", via=via, revenue=10),
        said("Order Completed", "part", via=via, revenue=10),
        said("Order Cancelled", "gone", via=via),
        said("Order Completed", "gone", via=via, revenue=100),
        said("Order Completed", "back", via=via, revenue=100),
        said("Order Refunded", "back", via=via),
        said("Order Completed", "other money", via=via, revenue=100, currency="EUR"),
    )
    standing = (await client.get(f"/v1/rfm/customers/{via}")).json()
    assert (standing["frequency"], standing["monetary"]) == (1, "6.00")


async def test_bands_are_quintiles_and_groups_cover_everybody(
    client: httpx.AsyncClient, database: BoundDatabase
) -> None:
    orders = []
    for rank in range(25):
        via = uuid4()
        orders += [
            said("Order Completed", uuid4().hex, via=via, days=100 - 4 * rank + n, revenue=10)
            for n in range(rank // 5 + 1)
        ]
    await hear(database, *orders)
    async with database.read() as session:
        bands = (await session.execute(text("SELECT r, count(*) FROM rfm_standing GROUP BY r ORDER BY r"))).all()
    assert [tuple(band) for band in bands] == [(n, 5) for n in range(1, 6)]
    summary = (await client.get("/v1/rfm/summary")).json()
    assert (summary["customers"], summary["orders"]) == (25, 75)
    assert sum(group["customers"] for group in summary["groups"]) == 25
    listed = (await client.get("/v1/rfm/customers?limit=10")).json()
    assert len(listed["items"]) == 10
    best = (await client.get("/v1/rfm/customers?group=champions")).json()["items"]
    assert best
    assert all(item["r"] >= 4 and item["f"] >= 4 for item in best)


async def test_a_merge_adds_up_both_sides_at_once(
    client: httpx.AsyncClient, database: BoundDatabase, settle: Settle
) -> None:
    """Without a run: by the thresholds that the last one froze."""
    a, b = (said("Order Completed", n, revenue=10) for n in ("a", "b"))
    await hear(database, a, b)
    async with database.write() as session:
        changes = await identity_map.apply(session, [Assignment(via=b.via, customer=a.via, version=2)])
        await facts.follow_map(session, changes)
    await settle()
    for customer in (a.via, b.via):
        standing = (await client.get(f"/v1/rfm/customers/{customer}")).json()
        assert (standing["customer_id"], standing["monetary"]) == (str(a.via), "20.00")
