"""Three brokers: their leader dies or stands still while facts are stored in batches; each is there once, in order."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats.errors
import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext

from perennial.common import packs, streams
from perennial.common.events import Encoder
from perennial.common.packs import Fact
from perennial.common.publishing import MOST, Publisher
from perennial.common.runtime import connect_nats
from perennial.common.testing.probe import PROBE, ThingDone
from tests.labs.servers import Brokers, brokers, wait

ROUNDS, STANDSTILL_SECONDS = 40, 8
PASSING = (nats.errors.Error, nats.js.errors.Error, TimeoutError)


def _facts(number: int) -> list[Fact]:
    encode, events = Encoder(), [ThingDone(what=str(number)) for _ in range(MOST)]
    return [fact for event in events for fact in packs.facts(event.subject, *encode(event))]


async def _store(publisher: Publisher, facts: list[Fact]) -> None:
    """As the relay does: until the broker has all of them."""
    for _ in range(100):
        try:
            if not any(await publisher.store(facts)):
                return
        except PASSING:
            pass
        await asyncio.sleep(0.5)
    raise TimeoutError


@asynccontextmanager
async def _connected(cluster: Brokers) -> AsyncIterator[tuple[Publisher, JetStreamContext]]:
    client = await connect_nats(cluster.url, "batches")
    try:
        yield Publisher(client), client.jetstream(timeout=10)
    finally:
        await client.close()


async def _ids(js: JetStreamContext) -> list[str]:
    found: list[str] = []
    count = (await js.stream_info(PROBE.stream)).state.messages
    pull = await js.pull_subscribe("", stream=PROBE.stream, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    while len(found) < count:
        found += [(message.headers or {})["ce-id"] for message in await pull.fetch(500, timeout=10)]
    return found


def _die(cluster: Brokers) -> None:
    node = cluster.nodes[cluster.leader(PROBE.stream)]
    node.kill()
    node.start()
    wait(node.ready, "a broker again")


def _stand_still(cluster: Brokers) -> None:
    node = cluster.nodes[cluster.leader(PROBE.stream)]
    node.send(signal.SIGSTOP)
    try:
        time.sleep(STANDSTILL_SECONDS)
    finally:
        node.send(signal.SIGCONT)


async def _trouble(cluster: Brokers) -> None:
    for deed in (_die, _stand_still, _die):
        await asyncio.sleep(1)
        await asyncio.to_thread(deed, cluster)


async def _story(cluster: Brokers) -> None:
    said: list[Fact] = []
    async with _connected(cluster) as (publisher, js):
        await streams.apply(js, streams.plan([PROBE], replicas=3))
        trouble = asyncio.create_task(_trouble(cluster))
        while len(said) < ROUNDS * MOST or not trouble.done():
            facts = _facts(len(said))
            await _store(publisher, facts)
            said += facts
            await asyncio.sleep(0.1)
        await trouble
    async with _connected(cluster) as (_, js):
        assert await _ids(js) == [fact.headers["ce-id"] for fact in said]


def test_each_fact_is_stored_once_and_in_order_whatever_becomes_of_the_leader(tmp_path: Path) -> None:
    with brokers(tmp_path) as cluster:
        asyncio.run(_story(cluster))
