"""What waits is told by gauges: facts, parked events, timers, messages, connections."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sqlalchemy import text

from perennial.common import backlog, outbox
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved
from perennial.common.db import Database
from perennial.common.ids import partition_of
from perennial.common.messaging.worker import consumers
from perennial.common.outbox import emit
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.probe import ThingDone
from perennial.common.timers import Timer, schedule


@pytest.fixture(scope="module")
def reader() -> Iterator[InMemoryMetricReader]:
    """A provider for the rest of the process: whoever has made a metric before is told of it."""
    made = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider(metric_readers=[made]))
    yield made
    made.shutdown()


def values(reader: InMemoryMetricReader, name: str, **labels: str) -> list[Any]:
    data: Any = reader.get_metrics_data()
    scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
    return [
        point.value
        for scope in scopes
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == name and labels.items() <= dict(point.attributes).items()
    ]


async def test_what_waits_in_the_tables(reader: InMemoryMetricReader, committed: Database) -> None:
    late = Timer("bell", "one", datetime.now(UTC) - timedelta(minutes=5))
    async with committed.write() as session:
        await emit(session, ThingDone(what="a"), ThingDone(what="b"))
        await emit(session, *(ThingDone(what="many") for _ in range(130)))  # in two rows
        await schedule(session, [late, Timer("bell", "two", datetime.now(UTC) + timedelta(days=1))])
        await session.execute(
            text("""INSERT INTO parked (stream, subject, headers, body, error, trace, replayed_at)
                    VALUES ('S', 's', '{}', '', 'e', 't', NULL), ('S', 's', '{}', '', 'e', 't', now())""")
        )
        await session.execute(text("UPDATE outbox SET created_at = now() - interval '90 seconds'"))
    connection: asyncpg.Connection = await committed.listen_connection()
    try:
        await backlog.measure(connection)
    finally:
        await connection.close()
    assert values(reader, "perennial.outbox.depth") == [132]
    assert values(reader, "perennial.parked.waiting") == [1]
    (lag,), (overdue,) = values(reader, "perennial.outbox.lag"), values(reader, "perennial.timer.overdue")
    assert 90 <= lag < 1000
    assert 300 <= overdue < 1200

    backlog.forget()
    for name in ("perennial.outbox.depth", "perennial.outbox.lag", "perennial.parked.waiting"):
        assert values(reader, name) == [0], "another process relays now: an old value would stand for ever"


async def test_what_never_gets_through_is_told(
    reader: InMemoryMetricReader, live_runtime: ServiceRuntime, committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that fails each time is still the one that is asked."""
    seen: list[tuple[Any, Any]] = []
    async with committed.write() as session:
        await emit(session, ThingDone(what="unheard"))
        await session.execute(
            text("UPDATE outbox SET subject = 'elsewhere.thing.done.v1', created_at = now() - interval '90 seconds'")
        )

    async def pause(_: float) -> None:
        seen.append((values(reader, "perennial.outbox.depth"), values(reader, "perennial.outbox.lag")))
        if len(seen) == 3:
            live_runtime.stopping.set()

    monkeypatch.setattr(live_runtime, "pause", pause)
    await asyncio.wait_for(outbox.relay(live_runtime), 60)
    assert all(depth == [1] and 90 <= lag[0] < 1000 for depth, lag in seen)
    assert values(reader, "perennial.outbox.depth") == [0], "this process relays no more"


async def test_nothing_waits_in_empty_tables(reader: InMemoryMetricReader, committed: Database) -> None:
    connection: asyncpg.Connection = await committed.listen_connection()
    try:
        await backlog.measure(connection)
    finally:
        await connection.close()
    told = [values(reader, f"perennial.{name}") for name in ("outbox.depth", "outbox.lag", "timer.overdue")]
    assert told == [[0], [0], [0]]


async def test_messages_behind_a_batch(reader: InMemoryMetricReader, live_runtime: ServiceRuntime) -> None:
    event = tracked("Event")
    body = msgspec.json.encode(EventsResolved([event]))
    for _ in range(3):
        await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.{partition_of(event.via)}", body)
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers(live_runtime)]
    async with asyncio.timeout(30):
        while not values(reader, "perennial.consumer.pending", stream="EVENTS"):
            await asyncio.sleep(0.05)
    live_runtime.stopping.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    assert 0 in values(reader, "perennial.consumer.pending", stream="EVENTS")


async def test_connections_in_use(reader: InMemoryMetricReader, committed: Database) -> None:
    (before,) = values(reader, "perennial.pool.connections", state="used")
    async with committed.read() as session:
        await session.execute(text("SELECT 1"))
        assert values(reader, "perennial.pool.connections", state="used") == [before + 1]
    (most,) = values(reader, "perennial.pool.connections", state="most")
    assert most >= 2
