"""The relay: each fact once and in order, in batches or singly, whatever dies, is full, too large or unheard."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from sqlalchemy import text

from perennial.common import outbox, packs, publishing, streams
from perennial.common.contracts.base import Event
from perennial.common.db import Database
from perennial.common.events import Encoder
from perennial.common.messaging.worker import consumers
from perennial.common.packs import Fact, Said
from perennial.common.publishing import FEW, Publisher
from perennial.common.service import ServiceRuntime
from perennial.common.testing.probe import PROBE, ThingDone

CHILD = Path(__file__).with_name("relaying.py")
STREAM = PROBE.stream
_WAITING = text("SELECT count(*) FROM outbox WHERE published_at IS NULL")


async def waiting(database: Database) -> int:
    async with database.read() as session:
        return int((await session.execute(_WAITING)).scalar_one())


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.05)


def things(count: int, size: int = 5) -> list[ThingDone]:
    return [ThingDone(what=f"{number:0{size}}") for number in range(count)]


async def emit(database: Database, *events: Event) -> None:
    async with database.write() as session:
        await outbox.emit(session, *events)


async def say(database: Database, *facts: Said) -> None:
    async with database.write() as session:
        await outbox.say(session, facts)


def said(event: Event) -> Said:
    return Said(event.id, event.subject, *Encoder()(event))


@asynccontextmanager
async def relaying(runtime: ServiceRuntime) -> AsyncIterator[None]:
    running = asyncio.create_task(outbox.relay(runtime))
    try:
        yield
    finally:
        runtime.stopping.set()
        await asyncio.wait_for(running, 60)
        runtime.stopping.clear()


async def published(runtime: ServiceRuntime, leftover: int = 0) -> None:
    """Relay until no more than that many rows wait."""
    async with relaying(runtime):
        runtime.wake("outbox").set()
        await until(lambda: _left(runtime.database, leftover))


async def _left(database: Database, leftover: int) -> bool:
    return await waiting(database) <= leftover


async def stored(runtime: ServiceRuntime) -> list[Msg]:
    """What is in the stream, in its order."""
    count = (await runtime.js.stream_info(STREAM)).state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)
    pull = await runtime.js.pull_subscribe("", stream=STREAM, config=config)
    found: list[Msg] = []
    while len(found) < count:
        found += await pull.fetch(min(500, count - len(found)), timeout=10)
    await pull.unsubscribe()
    return found


def ids(messages: Sequence[Msg]) -> list[str]:
    return [(message.headers or {})["ce-id"] for message in messages]


def together(messages: Sequence[Msg]) -> list[bool]:
    """Of each, whether it came in a batch."""
    return ["Nats-Batch-Id" in (message.headers or {}) for message in messages]


def in_words(events: Sequence[Event]) -> list[str]:
    return [str(event.id) for event in events]


async def test_each_fact_is_published_once_in_order_and_as_it_was_said(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    """Of packs, of rows of their own and of large ones, over many rounds; the broker does not even hear of repeats."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        heard.append((message.headers or {})["ce-id"])

    await live_runtime.nats.subscribe("probe.thing.>", cb=hear)
    large = [ThingDone(what="x" * 2 * packs.LARGE) for _ in range(3)]
    huge = [ThingDone(what="y" * (outbox.BYTES // 6)) for _ in range(8)]  # more than a round takes
    groups = [things(2_050), *([each] for each in things(150)), [*things(30), *large, *things(300)], huge, things(7)]
    for group in groups:
        await emit(committed, *group)
    everything = [event for group in groups for event in group]
    await published(live_runtime)
    found = await stored(live_runtime)
    assert ids(found) == in_words(everything)
    await until(lambda: _heard(heard, len(everything)))
    assert heard == in_words(everything)
    encode = Encoder()
    for message, event in zip(found, everything, strict=True):
        head, body = encode(event)
        own = {name: value for name, value in (message.headers or {}).items() if not name.startswith("Nats-Batch-")}
        assert own == {**msgspec.json.decode(head), "Nats-Msg-Id": str(event.id)}
        assert message.data == body
    assert sum(together(found)) > len(found) // 2


async def _heard(heard: Sequence[str], count: int) -> bool:
    return len(heard) >= count


@pytest.mark.parametrize("count", [FEW // 2, 300])
async def test_a_relay_killed_between_the_acknowledgement_and_the_mark(
    count: int, live_runtime: ServiceRuntime, committed: Database, tmp_path: Path
) -> None:
    events = things(count)
    await emit(committed, *events[: count // 3])
    await emit(committed, *events[count // 3 :])
    rows = await waiting(committed)
    (tmp_path / "probe.unmarked").touch()
    settings = live_runtime.settings
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), stdout=asyncio.subprocess.DEVNULL,
        env={
            **os.environ, "PERENNIAL_FAULTS": str(tmp_path), "PERENNIAL_DATABASE_URL": settings.dsn(),
            "PERENNIAL_NATS_URL": settings.nats_url.get_secret_value(), "PERENNIAL_INTERNAL_KEY": "unused",
        },
    )  # fmt: skip
    assert await asyncio.wait_for(child.wait(), 60) == -signal.SIGKILL
    assert await waiting(committed) == rows
    assert ids(await stored(live_runtime)) == in_words(events)
    later = things(count)
    await emit(committed, *later)  # shares a round with the repeats
    await published(live_runtime)
    assert ids(await stored(live_runtime)) == in_words([*events, *later])


async def test_a_stream_that_takes_no_batches(live_runtime: ServiceRuntime, committed: Database) -> None:
    """Until `streams apply` has come to a stream that is there already."""
    config = (await live_runtime.js.stream_info(STREAM)).config
    await live_runtime.js.update_stream(replace(config, allow_atomic=False))
    events = things(1_500)
    await emit(committed, *events)
    await published(live_runtime)
    found = await stored(live_runtime)
    assert ids(found) == in_words(events)
    assert not any(together(found))
    await streams.apply(live_runtime.js, streams.plan([PROBE]))
    later = things(50)
    await emit(committed, *later)
    await published(live_runtime)
    found = await stored(live_runtime)
    assert (ids(found)[1_500:], together(found)[1_500:]) == (in_words(later), [True] * 50)


async def test_what_nobody_hears_is_too_large_or_cannot_be_read_stays_and_the_others_go(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    most, good = live_runtime.nats.max_payload, [things(100), things(3), things(100), things(40)]
    lone = ThingDone(what="nobody hears of it")
    bad = [
        said(lone)._replace(subject="elsewhere.thing.done.v1"),
        said(ThingDone(what="x" * (most + 1))),
        said(ThingDone(what="x" * (most - 300))),  # by its headers only: the server would hang up
        said(ThingDone(what="newer"))._replace(subject=packs.SUBJECT, headers='{"facts": 2}'),
        said(ThingDone(what="headless"))._replace(headers="{}"),
    ]
    for group, spoiled in zip(good, [*bad[:3], None], strict=True):
        await emit(committed, *group)
        if spoiled is not None:
            await say(committed, spoiled)
    await say(committed, *bad[3:])
    await published(live_runtime, leftover=len(bad))
    assert ids(await stored(live_runtime)) == in_words([event for group in good for event in group])
    more = things(60)
    await emit(committed, *more)
    await published(live_runtime, leftover=len(bad))
    assert ids(await stored(live_runtime))[-60:] == in_words(more)
    async with committed.write() as session:
        await session.execute(text("UPDATE outbox SET subject = :subject WHERE subject LIKE 'elsewhere.%'"), {
            "subject": ThingDone.subject
        })  # fmt: skip
    await published(live_runtime, leftover=len(bad) - 1)
    assert ids(await stored(live_runtime))[-1] == str(lone.id)


async def test_a_fact_that_never_gets_through_costs_nothing_that_stays(
    live_runtime: ServiceRuntime, committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay begins anew after each failure, with the same connection to the broker."""
    failures = 0

    async def pause(_: float) -> None:
        nonlocal failures
        failures += 1
        await asyncio.sleep(0)

    monkeypatch.setattr(live_runtime, "pause", pause)
    await say(committed, said(ThingDone(what="unheard"))._replace(subject="elsewhere.thing.done.v1"))
    before = len(live_runtime.nats._subs)

    async def failed_often() -> bool:
        return failures > 10

    async with relaying(live_runtime):
        await until(failed_often)
        assert len(live_runtime.nats._subs) <= before + 1


async def test_a_stream_that_is_full_is_trimmed_and_nothing_is_lost(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    config = (await live_runtime.js.stream_info(STREAM)).config
    await live_runtime.js.update_stream(replace(config, max_bytes=100_000))
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers(live_runtime)]
    events = things(400)  # three times what the stream can hold
    await emit(committed, *events)

    async def seen() -> bool:
        async with committed.read() as session:
            return bool((await session.execute(text("SELECT count(*) FROM seen"))).scalar_one() == len(events))

    running = asyncio.create_task(outbox.relay(live_runtime))
    await until(seen)
    await until(lambda: _left(committed, 0))
    live_runtime.stopping.set()
    await asyncio.wait_for(asyncio.gather(running, *tasks), 60)
    async with committed.read() as session:
        assert (await session.execute(text("SELECT max(times) FROM seen"))).scalar_one() == 1


async def test_publishing_again_counts_facts_and_publishes_packs(
    live_runtime: ServiceRuntime, committed: Database
) -> None:
    config = (await live_runtime.js.stream_info(STREAM)).config
    events = [*things(250), ThingDone(what="x" * 2 * packs.LARGE)]
    await emit(committed, *events)
    await published(live_runtime)
    await live_runtime.js.delete_stream(STREAM)  # with what it knows of repeats
    await live_runtime.js.add_stream(config)
    now = datetime.now(UTC)
    async with committed.write() as session:
        assert await outbox.republish(session, now - timedelta(hours=1), now + timedelta(hours=1)) == len(events)
    await published(live_runtime)
    assert ids(await stored(live_runtime)) == in_words(events)


async def test_a_batch_that_was_refused_for_a_repeat_leaves_the_next_alone(live_runtime: ServiceRuntime) -> None:
    publisher = Publisher(live_runtime.nats)
    first, second = _facts(100), _facts(100)
    assert await publisher.store(first) == [None] * 100
    assert await publisher.store([*first[50:], *second[:50]]) == [None] * 100
    assert await publisher.store(second[50:]) == [None] * 50
    found = await stored(live_runtime)
    assert ids(found) == [fact.headers["ce-id"] for fact in [*first, *second]]
    assert together(found) == [True] * 100 + [False] * 50 + [True] * 50


async def test_an_answer_that_never_comes_is_a_failure(
    live_runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was stored all the same is stored once."""
    client, publisher, facts = live_runtime.nats, Publisher(live_runtime.nats), _facts(50)

    async def deaf(message: Msg) -> None:
        """Answers are lost."""

    await publisher.store(facts[:1])
    for subscription in client._subs.values():
        if subscription.subject.startswith(publisher._inbox):
            subscription._cb = deaf
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "ANSWER_SECONDS", 0.2)
        assert all(await publisher.store(facts))
    assert await Publisher(live_runtime.nats).store(facts) == [None] * 50
    assert ids(await stored(live_runtime)) == [fact.headers["ce-id"] for fact in facts]


def _facts(count: int) -> list[Fact]:
    return [fact for event in things(count) for fact in packs.facts(event.subject, *Encoder()(event))]
