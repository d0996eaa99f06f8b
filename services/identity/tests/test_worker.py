"""From INGEST to EVENTS on a real broker: crashes, repeats, a full stream, a lost database."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg
import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import STREAM, SUBJECT, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, ResolvedEvent
from perennial.common.db import Database
from perennial.common.events import attributes
from perennial.common.ids import partition_of, uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.database import find, lose
from perennial.identity import publisher
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival
from perennial.identity.testing.broker import RESOLVED, done, published, send, stored, until
from perennial.identity.worker import consume, read

STAFF = Principal("staff", "ann", frozenset({"*"}))


async def test_events_travel_in_the_partition_of_their_identifier(consuming: Runtime, accept: Any) -> None:
    for number in range(5):
        await send(consuming, *[accept(userId=f"u{number}-{n}") for n in range(20)])
    await until(lambda: done(consuming))
    messages = await stored(consuming)
    assert sum(len(message.events) for message in messages) == 100
    for message in messages:
        assert {f"{RESOLVED_SUBJECT}.{partition_of(event.via)}" for event in message.events} == {message.subject}
        said = attributes(message.headers)
        assert (said["type"], said["source"], said["specversion"]) == (RESOLVED_SUBJECT, "/services/identity", "1.0")
        assert "Nats-Msg-Id" not in message.headers


async def test_a_crash_between_commit_and_publish_loses_and_doubles_nothing(live_runtime: Runtime, accept: Any) -> None:
    events = [accept(userId=f"u{n % 7}", anonymousId=f"a{n}") for n in range(50)]
    seq = await send(live_runtime, *events)
    decided = await Decider(live_runtime).decide(Arrival.of(EventsAccepted("shop", events), seq))
    assert await published(live_runtime) == []

    task = asyncio.create_task(consume(live_runtime))
    await until(lambda: done(live_runtime))
    found = await published(live_runtime)
    assert {event.id: event.via for event in found} == {event.id: event.via for event in decided}
    assert len(found) == 50
    live_runtime.stopping.set()
    await task


async def test_a_merge_before_the_redelivery_changes_the_customer_and_not_the_identifier(
    live_runtime: Runtime, accept: Any
) -> None:
    event = accept(anonymousId="a")
    seq = await send(live_runtime, event)
    decider = Decider(live_runtime)
    [first] = await decider.decide(Arrival.of(EventsAccepted("shop", [event]), seq))
    merging = [accept(userId="u"), accept(userId="u", anonymousId="a")]
    [named, _] = await decider.decide(Arrival.of(EventsAccepted("shop", merging), seq + 1))

    task = asyncio.create_task(consume(live_runtime))
    await until(lambda: done(live_runtime))
    [again] = await published(live_runtime)
    assert (again.id, again.via) == (first.id, first.via)
    assert (again.customer, again.version) == (named.via, 2)
    live_runtime.stopping.set()
    await task


async def test_the_same_batch_three_times_counts_once(consuming: Runtime, accept: Any) -> None:
    events = [accept(userId=f"u{n}") for n in range(30)]
    await send(consuming, *events)
    await send(consuming, *events)
    await until(lambda: done(consuming))
    await send(consuming, *events[20:], *events[:20])
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 30


async def test_a_full_stream_stops_identity_and_loses_nothing(
    consuming: Runtime, accept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    js = consuming.js
    config = (await js.stream_info(RESOLVED_STREAM)).config
    config.max_bytes = 200_000
    await js.update_stream(config)
    monkeypatch.setenv("PERENNIAL_STREAM_BYTES_EVENTS", "200000")
    await js.add_consumer(RESOLVED_STREAM, ConsumerConfig(durable_name="slow", ack_policy=AckPolicy.EXPLICIT))
    events = [accept(userId=f"u{n}", properties={"note": "x" * 500}) for n in range(600)]
    for start in range(0, 600, 50):
        await send(consuming, *events[start : start + 50])
    await asyncio.sleep(1)
    assert not await done(consuming)
    reading = await js.pull_subscribe_bind("slow", RESOLVED_STREAM)
    seen: set[str] = set()

    async def read_on() -> bool:
        with contextlib.suppress(TimeoutError):
            for message in await reading.fetch(50, timeout=0.2):
                seen.update(event.message_id for event in RESOLVED.decode(message.data).events)
                await message.ack()
        return await done(consuming) and len(seen) == 600

    await until(read_on, 60)
    assert seen == {event.message_id for event in events}


async def test_a_lost_database_pauses_identity_and_parks_nothing(
    consuming: Runtime, committed: Database, accept: Any, database_urls: Any
) -> None:
    await send(consuming, accept(userId="before"))
    await until(lambda: done(consuming))
    admin = await asyncpg.connect(database_urls.admin)
    await lose(admin)
    for number in range(20):
        await send(consuming, accept(userId=f"during{number}"))
    await asyncio.sleep(0.5)
    await find(admin)
    await admin.close()
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 21
    async with committed.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM parked"))).scalar_one() == 0


def test_what_was_delivered_too_often_is_decided_apart(accept: Any) -> None:
    def message(seq: int, deliveries: int) -> Any:
        body = msgspec.json.encode(EventsAccepted("shop", [accept(userId="u") for _ in range(10)]))
        metadata = SimpleNamespace(num_delivered=deliveries, sequence=SimpleNamespace(stream=seq), stream=STREAM)
        return SimpleNamespace(data=body, metadata=metadata, subject=SUBJECT, headers=None)

    chunks, broken = read([message(4, 1), message(1, 1), message(2, 1), message(3, 4)])
    assert [[arrival.seq for arrival in chunk[::10]] for chunk in chunks] == [[1, 2], [3], [4]]
    assert broken == []
    full, _ = read([message(seq, 1) for seq in range(400)])
    assert [len(chunk) for chunk in full] == [3000, 1000]


def test_messages_are_cut_to_what_the_broker_takes(accept: Any) -> None:
    def resolved(size: int) -> ResolvedEvent:
        event = accept(userId="u", properties={"note": "x" * size})
        return ResolvedEvent(
            via := uuid7(), via, via, 1, "shop", event.message_id, "track", None, event.timestamp,
            event.received_at, True, event.body,
        )  # fmt: skip

    def sizes(events: Sequence[ResolvedEvent]) -> list[int]:
        cut = list(publisher.messages(events))
        assert sum(len(RESOLVED.decode(message.body).events) for message in cut) == len(events)
        return [len(message.body) for message in cut]

    assert max(sizes([resolved(30_000) for _ in range(300)])) <= publisher.MOST_BYTES
    small = [msgspec.structs.replace(event, via=event.via) for event in [resolved(1)] * 2500]
    assert [len(RESOLVED.decode(message.body).events) for message in publisher.messages(small)] == [1000, 1000, 500]
