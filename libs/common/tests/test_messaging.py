"""Consuming: batches, repeats, poison, infrastructure failures, crashes."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved, ResolvedEvent
from perennial.common.db import Database
from perennial.common.ids import partition_of
from perennial.common.messaging import parked
from perennial.common.messaging.worker import consumers, replay
from perennial.common.outbox import emit, relay
from perennial.common.service import ServiceRuntime
from perennial.common.testing.database import find, lose
from perennial.common.testing.events import tracked
from perennial.common.testing.probe import ThingDone


async def publish(runtime: ServiceRuntime, events: list[ResolvedEvent]) -> None:
    for event in events:
        body = msgspec.json.encode(EventsResolved([event]))
        await runtime.js.publish(f"{RESOLVED_SUBJECT}.{partition_of(event.via)}", body)


async def until(check: Callable[[], Any], seconds: float = 15) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await check()):
            await asyncio.sleep(0.05)
        return found


async def count(database: Database, statement: str = "SELECT count(*) FROM seen") -> int:
    async with database.read() as session:
        return int((await session.execute(text(statement))).scalar_one())


@pytest.fixture
async def consuming(live_runtime: ServiceRuntime) -> Any:
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers(live_runtime)]
    yield live_runtime
    live_runtime.stopping.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def test_every_event_is_handled_once_however_often_it_comes(
    consuming: ServiceRuntime, committed: Database
) -> None:
    events = [tracked(f"Event {n}") for n in range(50)]
    await publish(consuming, events + events[:20])
    await publish(consuming, events[10:30])
    await until(lambda: _all_acknowledged(consuming))
    assert await count(committed, "SELECT sum(times) FROM seen") == 50


async def _all_acknowledged(runtime: ServiceRuntime) -> bool:
    consumers = await runtime.js.consumers_info(RESOLVED_STREAM)
    return not any(one.num_pending or one.num_ack_pending for one in consumers)


async def _is(database: Database, wanted: int) -> bool:
    return await count(database) == wanted


async def test_a_poisoned_event_is_parked_alone_and_replayed_after_the_fix(
    consuming: ServiceRuntime, committed: Database
) -> None:
    events = [tracked(f"Event {n}") for n in range(499)]
    poison = tracked("Poison")
    body = msgspec.json.encode(EventsResolved([*events[:250], poison, *events[250:]]))
    await consuming.js.publish(f"{RESOLVED_SUBJECT}.3", body)
    await until(lambda: _is(committed, 499))
    async with committed.read() as session:
        [row] = await parked.listing(session)
    assert (row.event_id, "poison" in row.error) == (poison.id, True)

    healed = msgspec.structs.replace(poison, name="Healed")
    async with committed.write() as session:
        await session.execute(
            text("UPDATE parked SET body = :body"), {"body": msgspec.json.encode(EventsResolved([healed]))}
        )
    assert await replay(consuming, [row.id]) == 1
    assert await replay(consuming, [row.id]) == 0
    async with committed.write() as session:  # the ack was lost, and the repeat was parked once more
        await session.execute(text("UPDATE parked SET replayed_at = NULL"))
    assert await replay(consuming, [row.id]) == 1
    assert await count(committed, "SELECT sum(times) FROM seen WHERE name = 'Healed'") == 1


async def test_what_cannot_be_decoded_is_parked_and_its_neighbours_go_on(
    consuming: ServiceRuntime, committed: Database
) -> None:
    await consuming.js.publish(f"{RESOLVED_SUBJECT}.5", b"not json")
    await consuming.js.publish("probe.thing.done.v1", b'{"what": 7}')
    await consuming.js.publish(f"{RESOLVED_SUBJECT}.5", msgspec.json.encode(EventsResolved([tracked("Good")])))
    await until(lambda: _is(committed, 1))

    async def both() -> bool:
        return await count(committed, "SELECT count(*) FROM parked") == 2

    await until(both)


async def test_a_lost_database_pauses_the_consumer_and_parks_nothing(
    consuming: ServiceRuntime, committed: Database, database_urls: Any
) -> None:
    await publish(consuming, [tracked("Before")])
    await until(lambda: _is(committed, 1))
    admin = await asyncpg.connect(database_urls.admin)
    await lose(admin)
    await publish(consuming, [tracked(f"During {n}") for n in range(20)])
    await asyncio.sleep(1)
    await find(admin)
    await admin.close()
    await until(lambda: _is(committed, 21))
    assert await count(committed, "SELECT count(*) FROM parked") == 0


async def test_facts_are_published_after_the_commit_and_only_then(
    consuming: ServiceRuntime, committed: Database
) -> None:
    running = asyncio.create_task(relay(consuming))
    async with committed.write() as session:
        await emit(session, *[ThingDone(what=f"thing {n}") for n in range(30)])
    with pytest.raises(RuntimeError, match="no"):
        async with committed.write() as session:
            await emit(session, ThingDone(what="never"))
            raise RuntimeError("no")
    consuming.wake("outbox").set()
    await until(lambda: _is(committed, 30))
    consuming.stopping.set()
    await asyncio.wait_for(running, 5)
    assert await count(committed, "SELECT count(*) FROM outbox WHERE published_at IS NULL") == 0
