"""From INGEST to EVENTS on a real broker: crashes, rivals, poison, a full stream."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import asyncpg
import httpx
import msgspec
import pytest
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import STREAM, SUBJECT, AcceptedEvent, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_STREAM, RESOLVED_SUBJECT, EventsResolved, ResolvedEvent
from perennial.common.db import Database
from perennial.common.events import attributes
from perennial.common.ids import partition_of, uuid7
from perennial.common.messaging.parked import ParkedRow
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.settings import CommonSettings
from perennial.common.testing.database import find, lose
from perennial.common.web.app import create_app, no_lifespan
from perennial.identity import publisher
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival
from perennial.identity.decisions.traces import Reader
from perennial.identity.parked import rows
from perennial.identity.parked.service import OPERATOR, replay, replay_or_raise, waiting
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.worker import consume, read

STAFF = Principal("staff", "ann", frozenset({"*"}))
_RESOLVED = msgspec.json.Decoder(EventsResolved)


class Stored(NamedTuple):
    """A message of EVENTS."""

    subject: str
    headers: dict[str, str]
    events: list[ResolvedEvent]


async def send(runtime: Runtime, *events: AcceptedEvent) -> int:
    ack = await runtime.js.publish(SUBJECT, msgspec.json.encode(EventsAccepted("shop", list(events))))
    return ack.seq


async def stored(runtime: Runtime) -> list[Stored]:
    info = await runtime.js.stream_info(RESOLVED_STREAM)
    found = []
    for seq in range(max(1, info.state.first_seq), info.state.last_seq + 1):
        with contextlib.suppress(NotFoundError):
            message = await runtime.js.get_msg(RESOLVED_STREAM, seq)
            events = _RESOLVED.decode(message.data or b"").events
            found.append(Stored(str(message.subject), dict(message.headers or {}), events))
    return found


async def published(runtime: Runtime) -> list[ResolvedEvent]:
    return [event for message in await stored(runtime) for event in message.events]


async def until(check: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await check()):
            await asyncio.sleep(0.05)
        return found


async def done(runtime: Runtime) -> bool:
    """Whether everything in INGEST was acknowledged."""
    info = await runtime.js.stream_info(STREAM)
    return info.state.messages == 0


async def parked_rows(database: Database) -> list[ParkedRow]:
    async with database.read() as session:
        return await rows.listing(session, vault_of(cast("IdentitySettings", database.info["settings"])), 0, 100)


@pytest.fixture
async def consuming(live_runtime: Runtime) -> AsyncIterator[Runtime]:
    task = asyncio.create_task(consume(live_runtime))
    yield live_runtime
    live_runtime.stopping.set()
    await asyncio.wait_for(task, 20)


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


async def test_two_processes_on_the_same_new_identifiers_make_one_customer(
    live_runtime: Runtime, committed: Database, accept: Any, whole: Any
) -> None:
    rivals = [Decider(live_runtime) for _ in range(4)]
    for round_ in range(10):
        bodies = [
            {"userId": f"u{round_}", "traits": {"email": f"u{round_}@x.cn"}},
            {"anonymousId": f"a{round_}", "traits": {"email": f"u{round_}@x.cn"}},
            {"anonymousId": f"a{round_}", "context": {"device": {"id": f"d{round_}"}}},
            {"userId": f"u{round_}", "context": {"device": {"id": f"d{round_}"}}},
        ]
        pulls = [
            Arrival.of(EventsAccepted("shop", [accept(**bodies[(n + k) % 4]) for k in range(4)]), 100 * round_ + n)
            for n in range(4)
        ]
        await asyncio.gather(*(rival.decide(pull) for rival, pull in zip(rivals, pulls, strict=True)))
    async with committed.read() as session:
        customers = await session.execute(text("SELECT count(DISTINCT customer_id), count(*) FROM identity_map"))
        assert tuple(customers.one()) == (10, 40)
        await whole(session)


async def test_two_processes_on_the_same_event_decide_it_once(live_runtime: Runtime, accept: Any) -> None:
    rivals = [Decider(live_runtime) for _ in range(2)]
    for round_ in range(10):
        events = [accept(userId=f"u{round_}-{n}") for n in range(20)]
        one, other = await asyncio.gather(
            rivals[0].decide(Arrival.of(EventsAccepted("shop", events), 1000 + round_)),
            rivals[1].decide(Arrival.of(EventsAccepted("shop", events[::-1]), 2000 + round_)),
        )
        assert len(one) + len(other) == 20


async def test_eight_processes_on_the_same_hundred_customers_do_not_deadlock(
    live_runtime: Runtime, committed: Database, accept: Any, whole: Any
) -> None:
    rivals = [Decider(live_runtime) for _ in range(8)]
    await rivals[0].decide(Arrival.of(EventsAccepted("shop", [accept(anonymousId=f"a{n}") for n in range(300)]), 1))

    def pull(rival: int, number: int) -> list[Arrival]:
        events = [
            accept(userId=f"u{n}", anonymousId=f"a{(n + 100 * (k + rival)) % 300}")
            for k in range(3)
            for n in (range(100) if (rival + number) % 2 else range(99, -1, -1))
        ]
        return Arrival.of(EventsAccepted("shop", events), 100 * rival + number + 2)

    async def work(index: int, rival: Decider) -> int:
        return sum([len(await rival.decide(pull(index, number))) for number in range(2)])

    assert sum(await asyncio.gather(*(work(*pair) for pair in enumerate(rivals)))) == 8 * 2 * 300
    async with committed.read() as session:
        await whole(session)
        customers = await session.execute(text("SELECT count(DISTINCT customer_id), count(*) FROM identity_map"))
        assert tuple(customers.one()) == (100, 400)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Events of the user `poison` cannot be read until the returned function heals the reader."""
    traces = Reader.traces

    def broken(reader: Reader, event: AcceptedEvent) -> Any:
        found = traces(reader, event)
        if any(trace.value == "poison" for trace in found):
            raise ValueError("poison")
        return found

    monkeypatch.setattr(Reader, "traces", broken)
    return lambda: monkeypatch.setattr(Reader, "traces", traces)


async def test_a_poisoned_event_is_parked_alone_and_replayed_after_the_fix(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    events = [accept(userId=f"u{n}") for n in range(500)]
    events[123] = accept(userId="poison", message_id="bad")
    await send(consuming, *events)
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 499
    [row] = await parked_rows(committed)
    assert (row.error, row.subject) == ("ValueError('poison')", SUBJECT)

    done_, failed = await replay(consuming, [row.id], STAFF)
    assert (done_, failed) == ([], {row.id: "poison"})
    poisoned()
    assert await replay(consuming, [row.id], STAFF) == ([row.id], {})
    assert await replay(consuming, [row.id], STAFF) == ([], {})
    assert [event.message_id for event in await published(consuming)].count("bad") == 1


async def test_operators_list_and_replay_what_is_sealed(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    await send(consuming, accept(userId="poison", message_id="bad"), accept(userId="null"))
    await until(lambda: done(consuming))
    shown = await waiting(consuming, 0)
    assert [row.id for row in shown] == [row.id for row in await parked_rows(committed)]
    [bad] = [row for row in shown if row.error == "ValueError('poison')"]
    assert b"poison" in base64.b64decode(bad.body)
    with pytest.raises(ValueError, match="poison"):
        await replay_or_raise(consuming, [bad.id])
    poisoned()
    assert await replay_or_raise(consuming, [bad.id]) == 1
    assert [row.error[:13] for row in await waiting(consuming, 0)] == ["no_identifier"]
    async with committed.read() as session:
        who = await session.execute(text("SELECT DISTINCT principal FROM audit WHERE action = 'parked.replayed'"))
        assert who.scalar_one() == f"{OPERATOR.kind}:{OPERATOR.id}"


async def test_a_replay_of_what_came_again_meanwhile_publishes_nothing(
    poisoned: Callable[[], None], consuming: Runtime, committed: Database, accept: Any
) -> None:
    event = accept(userId="poison")
    await send(consuming, event)
    await until(lambda: done(consuming))
    poisoned()
    await send(consuming, event)
    await until(lambda: done(consuming))
    [row] = await parked_rows(committed)
    assert await replay(consuming, [row.id], STAFF) == ([row.id], {})
    assert len(await published(consuming)) == 1


async def test_an_event_of_nobody_stays_parked(consuming: Runtime, committed: Database, accept: Any) -> None:
    await send(consuming, accept(userId="null"))
    await until(lambda: done(consuming))
    [row] = await parked_rows(committed)
    assert await replay(consuming, [row.id], STAFF) == ([], {row.id: "it still cannot be decided, see its error"})
    assert [left.id for left in await parked_rows(committed)] == [row.id]


async def test_what_cannot_be_decoded_is_parked_and_its_neighbours_go_on(
    consuming: Runtime, committed: Database, accept: Any
) -> None:
    await consuming.js.publish(SUBJECT, b"not json")
    await send(consuming, accept(userId="u"))
    await until(lambda: done(consuming))
    assert len(await published(consuming)) == 1
    [row] = await parked_rows(committed)
    assert "DecodeError" in row.error


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
                seen.update(event.message_id for event in _RESOLVED.decode(message.data).events)
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
    assert await parked_rows(committed) == []


async def test_parked_events_are_listed_and_replayed_over_http(
    poisoned: Callable[[], None],
    consuming: Runtime,
    accept: Any,
    service: Service,
    settings: CommonSettings,
    token: Any,
) -> None:
    await send(consuming, accept(userId="poison", message_id="bad"), accept(userId="null"))
    await until(lambda: done(consuming))
    app = create_app(service, settings, no_lifespan)
    app.state.runtime = consuming
    headers = {"Authorization": f"Bearer {token('identities:*')}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://service", headers=headers
    ) as client:
        items = (await client.get("/v1/identity/parked")).json()["items"]
        by_error = {item["error"][:13]: item["id"] for item in items}
        bad, nobody = by_error["ValueError('p"], by_error["no_identifier"]
        poisoned()
        answer = await client.post("/v1/identity/parked/replay", json={"ids": [bad, nobody, 10**6]})
        assert (answer.status_code, answer.json()["replayed"]) == (200, [bad])
        assert [failure["id"] for failure in answer.json()["failed"]] == [nobody]
        assert [item["id"] for item in (await client.get("/v1/identity/parked")).json()["items"]] == [nobody]
    assert [event.message_id for event in await published(consuming)] == ["bad"]


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
        assert sum(len(_RESOLVED.decode(message.body).events) for message in cut) == len(events)
        return [len(message.body) for message in cut]

    assert max(sizes([resolved(30_000) for _ in range(300)])) <= publisher.MOST_BYTES
    small = [msgspec.structs.replace(event, via=event.via) for event in [resolved(1)] * 2500]
    assert [len(_RESOLVED.decode(message.body).events) for message in publisher.messages(small)] == [1000, 1000, 500]
