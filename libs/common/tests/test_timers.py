"""Timers: set, moved, fired once, and never ahead of the pipeline."""

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from perennial.common import firing, timers, watermark
from perennial.common.contracts import gateway
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved
from perennial.common.db import Database, WriteSession
from perennial.common.ids import PARTITIONS, partition_of, uuid7
from perennial.common.messaging.pull import Puller
from perennial.common.messaging.worker import hot_durable
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.timers import Timer

fired: list[Timer] = []


async def handle(_: WriteSession, due: list[Timer]) -> None:
    if any(timer.key == "bad" for timer in due):
        raise ValueError("bad timer")
    fired.extend(due)


@pytest.fixture
def ticking(live_runtime: ServiceRuntime) -> ServiceRuntime:
    fired.clear()
    return dataclasses.replace(
        live_runtime, service=dataclasses.replace(live_runtime.service, timers={"reminder": handle})
    )


async def schedule(database: Database, *wanted: Timer) -> None:
    async with database.write() as session:
        await timers.schedule(session, wanted)


async def test_a_timer_fires_once_at_its_last_instant(ticking: ServiceRuntime, committed: Database) -> None:
    now = datetime.now(UTC)
    await schedule(committed, Timer("reminder", "a", now + timedelta(hours=1)), Timer("reminder", "b", now))
    await schedule(committed, Timer("reminder", "a", now - timedelta(seconds=1), {"moved": True}))
    assert await firing.fire_due(ticking, datetime.now(UTC)) == 2
    assert await firing.fire_due(ticking, datetime.now(UTC)) == 0
    assert [(timer.key, timer.payload) for timer in fired] == [("a", {"moved": True}), ("b", {})]


async def test_a_cancelled_timer_does_not_fire(ticking: ServiceRuntime, committed: Database) -> None:
    await schedule(committed, Timer("reminder", "a", datetime.now(UTC)))
    async with committed.write() as session:
        await timers.cancel(session, "reminder", ["a", "unknown"])
    assert await firing.fire_due(ticking, datetime.now(UTC)) == 0


async def test_a_timer_waits_until_everything_received_before_it_has_been_handled(
    ticking: ServiceRuntime, committed: Database
) -> None:
    event = tracked("Order Completed")
    partition = partition_of(event.via)
    await ticking.js.publish(f"{RESOLVED_SUBJECT}.{partition}", msgspec.json.encode(EventsResolved([event])))
    due = datetime.now(UTC) + timedelta(milliseconds=50)
    await schedule(committed, timers.timer_for(event.via, "reminder", "cart", due))
    later = due + timedelta(seconds=1)
    assert await firing.fire_due(ticking, later) == 0
    puller = Puller(ticking.nats, RESOLVED_STREAM, hot_durable("probe", partition))
    [message] = await puller.batch()
    await message.ack_sync()
    await puller.close()
    while datetime.now(UTC) <= due:
        pass
    assert await firing.fire_due(ticking, later) == 1


async def test_what_waits_in_ingest_holds_the_watermark(ticking: ServiceRuntime) -> None:
    assert (datetime.now(UTC) - (await watermark.behind(ticking.js, "probe", [0]))[0]) < timedelta(seconds=5)
    stored = datetime.now(UTC)
    await ticking.js.publish(gateway.SUBJECT, b"{}")
    reached = (await watermark.behind(ticking.js, "probe", [0]))[0]
    async with asyncio.timeout(15):  # the broker's counts follow what it has acknowledged, a moment behind
        while (again := (await watermark.behind(ticking.js, "probe", [0]))[0]) != reached:
            reached = again
    assert abs(reached - stored) < timedelta(seconds=1)


async def test_a_timer_that_fails_is_put_off_and_its_neighbours_fire(
    ticking: ServiceRuntime, committed: Database
) -> None:
    now = datetime.now(UTC)
    await schedule(committed, *(Timer("reminder", key, now) for key in ("a", "bad", "c")))
    await firing.fire_due(ticking, datetime.now(UTC))
    assert sorted(timer.key for timer in fired) == ["a", "c"]
    async with committed.read() as session:
        [(key, due_at)] = (await session.execute(text("SELECT key, due_at FROM timer"))).all()
    assert (key, due_at > now) == ("bad", True)


async def test_a_timer_of_another_partition_is_not_held_up(ticking: ServiceRuntime, committed: Database) -> None:
    await ticking.js.publish(f"{RESOLVED_SUBJECT}.3", b"{}")
    due = datetime.now(UTC) + timedelta(milliseconds=1)
    await schedule(
        committed,
        Timer("reminder", "held", due, {}, partition=3),
        Timer("reminder", str(uuid7()), due, {}, partition=4),
    )
    while datetime.now(UTC) <= due:
        pass
    assert await firing.fire_due(ticking, datetime.now(UTC) + timedelta(seconds=1)) == 1


async def test_two_hundred_timers_of_a_partition_that_lags_hold_up_nobody_else(
    ticking: ServiceRuntime, committed: Database
) -> None:
    await ticking.js.publish(f"{RESOLVED_SUBJECT}.3", b"{}")
    due = datetime.now(UTC) + timedelta(milliseconds=1)
    await schedule(committed, *(Timer("reminder", f"held {n}", due, {}, partition=3) for n in range(250)))
    await schedule(committed, Timer("reminder", "free", due + timedelta(milliseconds=1), {}, partition=4))
    while datetime.now(UTC) <= due + timedelta(milliseconds=1):
        pass
    assert await firing.fire_due(ticking, datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert [timer.key for timer in fired] == ["free"]


async def test_a_timer_of_a_kind_nobody_knows_is_left_for_who_does(
    ticking: ServiceRuntime, committed: Database
) -> None:
    await schedule(committed, Timer("of the next release", "a", datetime.now(UTC)))
    assert await firing.fire_due(ticking, datetime.now(UTC)) == 0
    async with committed.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM timer"))).scalar_one() == 1


async def test_whoever_moves_a_timer_does_not_wait_for_the_broker(
    ticking: ServiceRuntime, committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, now = watermark.behind, datetime.now(UTC)

    async def moved_meanwhile(*asked: Any) -> dict[int | None, datetime]:
        async with asyncio.timeout(15):
            await schedule(committed, Timer("reminder", "a", now + timedelta(hours=1)))
        return await ask(*asked)

    monkeypatch.setattr(watermark, "behind", moved_meanwhile)
    await schedule(committed, Timer("reminder", "a", now), Timer("reminder", "b", now))
    assert await firing.fire_due(ticking, now) == 1
    assert [timer.key for timer in fired] == ["b"]


async def test_partitions_are_asked_together_and_answer_each_for_itself(ticking: ServiceRuntime) -> None:
    await ticking.js.publish(f"{RESOLVED_SUBJECT}.3", b"{}")
    stored = datetime.now(UTC)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(15):  # the broker's counts follow a moment behind
        while (reached := await watermark.behind(ticking.js, "probe", [None, *range(PARTITIONS)]))[3] > stored:
            pass
    assert set(reached) == {None, *range(PARTITIONS)}
    assert all(at > stored for partition, at in reached.items() if partition != 3)
