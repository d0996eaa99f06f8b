"""Fixtures of the tests of RFM."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.runs import service
from perennial.segments.rfm.runs.computing import compute_next

Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]
Hear = Callable[..., Awaitable[None]]
Shop = Callable[..., Awaitable[list[UUID]]]
Standing = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def run(database: BoundDatabase) -> Run:
    """Compute everybody."""

    async def done() -> None:
        async with database.write() as session:
            await service.want(session, "asked")
        assert await compute_next(database)

    return done


@pytest.fixture
def bought() -> Bought:
    """An order of so much, so many days ago."""

    def order(via: UUID | None = None, revenue: object = 10, *, days: float = 0, **properties: Any) -> Any:
        said = {"order_id": uuid4().hex, "revenue": revenue, **properties}
        return tracked("Order Completed", said, via=via, at=datetime.now(UTC) - timedelta(days=days))

    return order


@pytest.fixture
def shop(hear: Hear, bought: Bought) -> Shop:
    """Customers: each has bought later, more often and for more than those before."""

    async def made(count: int = 10) -> list[UUID]:
        customers = [uuid7() for _ in range(count)]
        events = [
            bought(via, 10 * (number + 1), days=count - number + again / 100)
            for number, via in enumerate(customers)
            for again in range(number + 1)
        ]
        await hear(*events)
        return customers

    return made


@pytest.fixture
def standing(client: httpx.AsyncClient) -> Standing:
    """Where a customer stands, in a currency."""

    async def read(customer: UUID, currency: str = "USD") -> dict[str, Any]:
        answer = await client.get(f"/v1/rfm/customers/{customer}?currency={currency}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return read
