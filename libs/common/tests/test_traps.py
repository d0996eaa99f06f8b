"""The known traps of the stack: each test fails without the cure."""

import asyncio
import time
from datetime import timedelta
from typing import Annotated, Any

import httpx
import msgspec
import nats
import nats.errors
import nats.js.errors
import pytest
from fastapi import Depends, FastAPI
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from sqlalchemy import text

from perennial.common import streams, trimming
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved
from perennial.common.db import Database
from perennial.common.messaging.batch import BatchProcessor
from perennial.common.messaging.consumer import Consumer
from perennial.common.messaging.decode import resolved
from perennial.common.messaging.pull import Puller
from perennial.common.messaging.worker import hot_durable
from perennial.common.packs import Fact
from perennial.common.publishing import Publisher
from perennial.common.runtime import PENDING_BYTES
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.probe import PROBE
from perennial.common.web.deps import Write, write_session


def message_of(*names: str) -> bytes:
    return msgspec.json.encode(EventsResolved([tracked(name) for name in names]))


async def test_a_route_commits_before_it_answers(runtime: ServiceRuntime) -> None:
    app = FastAPI()
    app.state.runtime = runtime
    order: list[str] = []

    @app.post("/ours")
    async def ours(session: Write) -> dict[str, str]:
        raise_on_commit(session)
        return {"committed": "yes"}

    @app.post("/textbook")
    async def textbook(session: Annotated[Any, Depends(write_session)]) -> dict[str, str]:
        raise_on_commit(session)
        return {"committed": "yes"}

    def raise_on_commit(session: Any) -> None:
        from sqlalchemy import event  # noqa: PLC0415

        def fail(_: Any) -> None:
            order.append("commit failed")
            raise RuntimeError("the disk is full")

        event.listen(session.sync_session, "before_commit", fail, once=True)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://x"
    ) as client:
        assert (await client.post("/textbook")).status_code == 200  # the trap: told "yes" before the commit failed
        assert (await client.post("/ours")).status_code == 500
    assert order == ["commit failed", "commit failed"]


async def test_a_full_stream_refuses_new_messages_and_keeps_the_old(
    live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_STREAM_BYTES_EVENTS", "20000")
    await streams.apply(live_runtime.js, streams.plan([PROBE]))
    with pytest.raises(nats.js.errors.APIError, match="maximum bytes exceeded"):
        for _ in range(100):
            await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"x" * 1000)
    first = await live_runtime.js.get_msg(RESOLVED_STREAM, seq=1)
    assert first.data == b"x" * 1000
    await live_runtime.js.add_stream(StreamConfig(name="TRAP", subjects=["trap"], max_bytes=20000))
    for _ in range(100):  # the trap: nats-py's default forgets what was acknowledged
        await live_runtime.js.publish("trap", b"x" * 1000)
    with pytest.raises(nats.js.errors.NotFoundError):
        await live_runtime.js.get_msg("TRAP", seq=1)
    await live_runtime.js.delete_stream("TRAP")


async def test_trimming_frees_only_what_every_consumer_has_handled(
    live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_STREAM_BYTES_EVENTS", "30000")
    await streams.apply(live_runtime.js, streams.plan([PROBE]))
    for partition in (0, 0, 0, 1):
        await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.{partition}", b"x" * 5000)
    puller = Puller(live_runtime.nats, RESOLVED_STREAM, hot_durable("probe", 0), most=2)
    for message in await puller.batch():
        await message.ack_sync()
    await trimming.trim(live_runtime.js, RESOLVED_STREAM)
    info = await live_runtime.js.stream_info(RESOLVED_STREAM, subjects_filter=">")
    assert info.state.subjects == {f"{RESOLVED_SUBJECT}.0": 1, f"{RESOLVED_SUBJECT}.1": 1}
    await puller.close()


async def test_what_everybody_has_read_goes_by_its_age_and_the_unread_stays(live_runtime: ServiceRuntime) -> None:
    async def kept() -> int:
        return int((await live_runtime.js.stream_info(RESOLVED_STREAM)).state.messages)

    for _ in range(3):
        await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"{}")
    puller = Puller(live_runtime.nats, RESOLVED_STREAM, hot_durable("probe", 0), most=2)
    for message in await puller.batch():
        await message.ack_sync()
    assert await trimming.age(live_runtime.js, RESOLVED_STREAM, timedelta(days=1)) == 0
    assert await kept() == 3
    await asyncio.sleep(0.05)
    assert await trimming.age(live_runtime.js, RESOLVED_STREAM, timedelta(milliseconds=20)) == 3
    assert await kept() == 1, "nobody has read the third, however old it is"
    await puller.close()


async def test_a_message_is_delivered_until_it_is_handled(live_runtime: ServiceRuntime) -> None:
    await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"{}")
    puller = Puller(live_runtime.nats, RESOLVED_STREAM, hot_durable("probe", 0))
    for delivery in range(1, 15):
        [message] = await puller.batch()
        assert message.metadata.num_delivered == delivery
        await message.nak()
    await puller.close()


async def test_the_brokers_duplicate_window_ignores_the_content(live_runtime: ServiceRuntime) -> None:
    """Why no message of a hot stream bears a Nats-Msg-Id: another batch under one id would be lost."""
    first = await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"one", headers={"Nats-Msg-Id": "same"})
    second = await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.1", b"two", headers={"Nats-Msg-Id": "same"})
    assert (first.duplicate, second.duplicate, second.seq) == (None, True, first.seq)


async def test_two_workers_on_one_partition_count_an_event_once(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    """A late ack lets the broker hand one message to two workers; the lock and the inbox make one of them idle."""
    await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", message_of("A", "B"))
    puller = Puller(live_runtime.nats, RESOLVED_STREAM, hot_durable("probe", 0))
    messages: list[Msg] = await puller.batch()
    workers = [BatchProcessor(live_runtime, PROBE.reactions, resolved) for _ in range(4)]
    await asyncio.gather(*(worker(messages) for worker in workers))
    async with committed.read() as session:
        assert (await session.execute(text("SELECT count(*), sum(times) FROM seen"))).one() == (2, 2)
    await puller.close()


async def test_a_pull_does_not_wait_for_its_batch_to_fill(live_runtime: ServiceRuntime) -> None:
    await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"{}")
    puller = Puller(live_runtime.nats, RESOLVED_STREAM, hot_durable("probe", 0), most=64)
    started = time.perf_counter()
    messages = await puller.batch()
    assert (len(messages), time.perf_counter() - started < 2) == (1, True)
    await puller.close()


async def test_the_connection_never_gives_up_and_has_room_for_bursts(live_runtime: ServiceRuntime) -> None:
    assert live_runtime.nats.options["max_reconnect_attempts"] == -1
    assert live_runtime.nats._max_pending_size == PENDING_BYTES
    body = b"x" * 60_000
    await asyncio.gather(*(live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", body) for _ in range(200)))


async def test_nothing_is_buffered_while_the_broker_is_away() -> None:
    with pytest.raises(nats.errors.ConnectionClosedError):
        await Publisher(Client()).store([Fact("probe.thing.done.v1", {}, b"late")])


async def test_a_consumer_waits_for_a_stream_that_is_not_there_yet(live_runtime: ServiceRuntime) -> None:
    """Streams come from one command; whoever starts first waits, and makes nothing of its own."""
    await live_runtime.js.delete_stream(RESOLVED_STREAM)
    heard: list[bytes] = []

    async def process(messages: list[Msg]) -> None:
        heard.extend(message.data for message in messages)

    consumer = Consumer(live_runtime, RESOLVED_STREAM, hot_durable("probe", 0), process=process)
    running = asyncio.create_task(consumer.run())
    await asyncio.sleep(0.3)
    await streams.apply(live_runtime.js, streams.plan([PROBE]))
    await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"hello")
    async with asyncio.timeout(20):
        while not heard:
            await asyncio.sleep(0.05)
    live_runtime.stopping.set()
    await asyncio.wait_for(running, 5)
    assert heard == [b"hello"]


async def test_a_build_without_a_service_does_not_cost_its_position(live_runtime: ServiceRuntime) -> None:
    others = streams.plan([])
    durable = hot_durable("probe", 0)
    await live_runtime.js.publish(f"{RESOLVED_SUBJECT}.0", b"unread")
    await streams.apply(live_runtime.js, others)
    assert (await live_runtime.js.consumer_info(RESOLVED_STREAM, durable)).num_pending == 1
    await streams.apply(live_runtime.js, others, force=True)
    with pytest.raises(nats.js.errors.NotFoundError):
        await live_runtime.js.consumer_info(RESOLVED_STREAM, durable)
