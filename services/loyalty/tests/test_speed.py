"""What postings cost beside the plainest statements there are, in the same run; printed, never asserted."""

import gc
import sys
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID

import asyncpg

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.worker import REACTIONS

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS, SPENDS, ROUNDS = 2000, 100, 5
_INSERT = (
    "INSERT INTO posting (id, kind, via, at, points, pending, reason) VALUES ($1, 'spend', $2, now(), -1, 0, 'raw')"
)
_SPEND = "SELECT outcome FROM spend_points($1, $2, 'points', 1, now(), 'speed', NULL)"


def _orders(vias: list[UUID], number: int) -> list[ResolvedEvent]:
    return [
        tracked(
            "Order Completed",
            {"order_id": f"{number}-{n}", "revenue": "31.40", "products": [{"product_id": "p", "price": 3.14}] * 10},
            via=vias[n % len(vias)],
            at=START + timedelta(minutes=n),
            live=False,
        )
        for n in range(ORDERS)
    ]


async def _earn(runtime: ServiceRuntime, vias: list[UUID], number: int) -> float:
    """Microseconds per order, from decoded events to the commit."""
    events = _orders(vias, number)
    began = perf_counter()
    async with runtime.database.write() as session:
        await react(runtime, session, REACTIONS, events)
    return (perf_counter() - began) / ORDERS * 1e6


async def _each(connection: asyncpg.Connection, statement: str, via: UUID) -> float:
    """Calls a second, one after the other, each its own transaction."""
    call = await connection.prepare(statement)
    began = perf_counter()
    for _ in range(SPENDS):
        await call.fetchval(uuid7(), via)
    return SPENDS / (perf_counter() - began)


async def _undo_raw(database_urls: Any) -> None:
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("DELETE FROM posting WHERE reason = 'raw'")
    await owner.close()


async def test_speed(service: Any, settings: Any, committed: Any, database_urls: Any, committing: Any) -> None:
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    gc.collect()
    gc.freeze()  # as a process does after its start
    vias = [uuid7() for _ in range(500)]
    earned = [await _earn(runtime, vias, number) for number in range(ROUNDS)]
    connection = await asyncpg.connect(database_urls.login)
    raw, spent = [], []
    for number in range(ROUNDS):
        raw.append(await _each(connection, _INSERT, vias[number]))
        spent.append(await _each(connection, _SPEND, vias[number]))
    await connection.close()
    await _undo_raw(database_urls)
    async with committing() as shop:
        await shop.derive()
    await verify(committed)
    gc.unfreeze()
    sys.stdout.write(
        f"\nearning: {median(earned):.0f} µs per order in batches of {ORDERS}; one spending {median(spent):.0f}/s,"
        f" {median(spent) / median(raw):.2f} of one plain INSERT ({median(raw):.0f}/s)\n"
    )
