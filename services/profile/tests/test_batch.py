"""A batch as the worker gets it: exact, and at a price that is printed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from nats.aio.msg import Msg
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.decode import resolved
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified, tracked

BATCH, ROUNDS = 2000, 4
PADDING = "x" * 300


def shopping(vias: list[UUID], number: int) -> list[ResolvedEvent]:
    """Of ten events one is an order and one an identify; the rest are views, spread over a year."""
    return [_event(vias[n % len(vias)], n, number) for n in range(BATCH)]


def _event(via: UUID, n: int, number: int) -> ResolvedEvent:
    at = datetime.now(UTC) - timedelta(hours=(n * 7) % 8000, seconds=number)
    if n % 10 == 0:
        products = [{"product_id": f"p{n}", "price": 3.5, "quantity": 2, "name": PADDING}]
        order = {"order_id": f"{number}-{n}", "revenue": "7.00", "currency": "USD", "products": products}
        return tracked("Order Completed", order, via=via, at=at, live=False)
    if n % 10 == 1:
        traits = {"email": f"{n}-{number}@example.com", "firstName": f"Ada {n}", "city": "Paris", "age": n}
        return identified(traits, via=via, at=at, live=False)
    view = {"product_id": f"p{n}", "name": PADDING, "price": 12.5}
    return tracked("Product Viewed", view, via=via, at=at, live=False)


async def test_a_batch_of_2000_events(
    service: Service,
    settings: CommonSettings,
    committed: Database,
    wrap: Callable[[list[ResolvedEvent]], Msg],
    capsys: Any,
) -> None:
    runtime = ServiceRuntime(service, settings, committed, nats=cast("Any", None))
    hot = [reaction for reaction in service.reactions if reaction.hot]
    process = BatchProcessor(runtime, hot, resolved)
    vias = [uuid7() for _ in range(800)]
    spent = []
    for number in range(ROUNDS):
        events = shopping(vias, number)
        received = [wrap(events[start : start + 50]) for start in range(0, BATCH, 50)]
        started, cpu = time.perf_counter(), time.process_time()
        await process(received)
        spent.append(
            f"{(time.perf_counter() - started) / BATCH * 1e6:.0f} ({(time.process_time() - cpu) / BATCH * 1e6:.0f})"
        )
        await process(received)  # a repeat changes nothing
    with capsys.disabled():
        print("\nprofile, µs per event (its Python):", ", ".join(spent))  # noqa: T201 (a figure to read, not to assert)
    total = BATCH * ROUNDS
    assert await _totals(committed) == (total, total, total // 10, total // 10 * 7, total * 9 // 10, 0)


async def _totals(database: Database) -> tuple[Any, ...]:
    async with database.read() as session:
        row = await session.execute(
            text("""SELECT (SELECT count(*) FROM event), (SELECT sum(events) FROM activity),
                           (SELECT count(*) FROM purchase), (SELECT sum(amount) FROM purchase),
                           (SELECT sum(count) FROM counter), (SELECT count(*) FROM parked)""")
        )
        return tuple(row.one())
