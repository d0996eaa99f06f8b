"""Fixtures of the tests of RFM."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.runs import service
from perennial.segments.rfm.runs.computing import compute_next

Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]


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
