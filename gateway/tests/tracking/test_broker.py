"""No 200 without the broker's ack: down, full or silent, the client is asked to send again."""

import asyncio
import os
import signal
import socket
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from perennial.common import streams
from perennial.common.contracts.gateway import STREAM, AcceptedEvent, EventsAccepted
from perennial.common.db import Database
from perennial.common.runtime import connect_nats
from perennial.common.service import Service, ServiceRuntime
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import WRITE_KEY, Send, Stored, messages, started, track
from perennial.gateway.tracking.publish import AT_ONCE, Publisher
from perennial.gateway.tracking.refusal import Refusal

EVENTS = msgspec.json.Decoder(EventsAccepted)
PATIENCE = 60.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"


class Broker:
    """A nats-server of a test's own, to be stopped and started."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"
        self._config = folder / "nats.conf"
        self._config.write_text(f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder}/js" }}\n')
        self._process: subprocess.Popen[bytes] | None = None
        self.known: Callable[[], bool] = lambda: False  # whether the gateway believes it to be there

    async def start(self) -> None:
        self._process = subprocess.Popen([SERVER, "-c", self._config], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            await asyncio.sleep(0.05)
        raise TimeoutError("nats-server did not start")

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it stands still: a signal takes its time

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    made = Broker(tmp_path)
    yield made
    made.stop()


@pytest.fixture
async def lonely(
    service: Service, gateway_settings: GatewaySettings, committed: Database, broker: Broker
) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway whose broker a test may stop."""
    await broker.start()
    client = await connect_nats(broker.url, "test")
    await streams.apply(client.jetstream(timeout=10), streams.plan([service]))
    patient = {"nats_url": SecretStr(broker.url), "publish_seconds": PATIENCE}
    settings = gateway_settings.model_copy(update=patient)
    runtime = ServiceRuntime(service, settings, committed, client)
    broker.known = lambda: client.is_connected
    async with started(runtime, settings) as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as opened:
            opened.headers["x-write-key"] = WRITE_KEY
            yield opened
    await client.close()


def refused(answer: Any, code: str) -> None:
    assert answer.status_code == 503
    assert answer.json()["code"] == code
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["access-control-allow-origin"] == "*"


async def lose(broker: Broker) -> None:
    """Stop it, and wait until the gateway has noticed."""
    broker.stop()
    async with asyncio.timeout(PATIENCE):
        while broker.known():
            await asyncio.sleep(0.01)


async def until_stored(client: httpx.AsyncClient, event: dict[str, Any]) -> None:
    async with asyncio.timeout(10):
        while (await client.post("/v1/batch", json={"batch": [event]})).status_code != 200:
            await asyncio.sleep(0.05)


async def test_a_stopped_broker(lonely: httpx.AsyncClient, broker: Broker) -> None:
    await until_stored(lonely, track(messageId="before"))
    await lose(broker)
    for path, body in (("/v1/batch", {"batch": [track()]}), ("/v1/track", track())):
        async with asyncio.timeout(PATIENCE / 2):  # it is known at once
            refused(await lonely.post(path, json=body), "broker_unavailable")
    assert (await lonely.post("/v1/batch", json={"batch": [7]})).status_code == 200, "nothing was to be stored"
    await broker.start()
    await until_stored(lonely, track(messageId="after"))


async def test_nothing_refused_while_away_appears_later(
    lonely: httpx.AsyncClient, broker: Broker, gateway_settings: GatewaySettings
) -> None:
    await lose(broker)
    for _ in range(5):
        refused(await lonely.post("/v1/batch", json={"batch": [track()]}), "broker_unavailable")
    await broker.start()
    await until_stored(lonely, track(messageId="after"))
    client = await connect_nats(broker.url, "test-reader")
    assert (await client.jetstream().stream_info(STREAM)).state.messages == 1
    await client.close()


async def test_a_full_stream(send: Send, stored: Stored, live_runtime: ServiceRuntime) -> None:
    js = live_runtime.js
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config, max_msgs=1)
    assert (await send([track(messageId="1")])).status_code == 200
    refused(await send([track(messageId="2")]), "stream_full")
    refused(await send(content=b'{"userId":"u","event":"X"}', path="/v1/track"), "stream_full")
    await js.update_stream(config, max_msgs=-1)
    assert (await send([track(messageId="2")])).status_code == 200
    assert [event.message_id for event in await stored()] == ["1", "2"]


async def test_a_stream_full_by_bytes(send: Send, live_runtime: ServiceRuntime) -> None:
    js = live_runtime.js
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config, max_bytes=2000)
    refused(await send([track(properties={"x": "y" * 3000})]), "stream_full")


async def test_no_stream_at_all(send: Send, live_runtime: ServiceRuntime) -> None:
    await live_runtime.js.delete_stream(STREAM)
    refused(await send([track()]), "broker_unavailable")


async def test_too_much_in_flight(edge: Any, send: Send, live_runtime: ServiceRuntime) -> None:
    edge.intake._publisher = Publisher(live_runtime.nats, seconds=5, in_flight_bytes=3000)
    answers = await asyncio.gather(*(send([track(properties={"x": "y" * 1000})]) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    refused(next(answer for answer in answers if answer.status_code == 503), "overloaded")
    assert (await send([track()])).status_code == 200


async def test_requests_that_come_together_share_messages(
    send: Send, stored: Stored, live_runtime: ServiceRuntime
) -> None:
    """A message is on the disk before the next one is: one for each of many small requests would wait in line."""
    answers = await asyncio.gather(*(send([track(messageId=str(n))]) for n in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert {event.message_id for event in await stored()} == {str(n) for n in range(200)}
    assert len(await messages(live_runtime)) < 150


async def test_events_of_two_sources_never_share_a_message(
    send: Send, admin: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    key = (await admin.post("/v1/sources", json={"name": "web"})).json()["write_keys"][0]["key"]
    keys = [(WRITE_KEY, ""), (key, "")]
    await asyncio.gather(*(send([track(messageId=f"{n % 2}-{n}")], auth=keys[n % 2]) for n in range(60)))
    found = [EVENTS.decode(message.data or b"") for message in await messages(live_runtime)]
    assert sum(len(message.events) for message in found) == 60
    for message in found:
        assert len({event.message_id[0] for event in message.events}) == 1


async def test_what_waits_behind_a_silent_broker_is_refused_and_never_stored(broker: Broker) -> None:
    await broker.start()
    client = await connect_nats(broker.url, "test-gateway")
    await streams.apply(client.jetstream(), streams.plan([]))
    publisher = Publisher(client, seconds=0.5, in_flight_bytes=1_000_000)
    event = AcceptedEvent("m", "page", None, NOW, NOW, True, False, msgspec.Raw(b"{}"))
    broker.pause()
    sent = [asyncio.create_task(publisher.publish(f"source-{n}", [event], NOW)) for n in range(20)]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert {one.code for one in outcomes if isinstance(one, Refusal)} == {"broker_unavailable"}
    assert len([one for one in outcomes if isinstance(one, Refusal)]) == 20
    broker.resume()
    await publisher.publish("late", [event], NOW - timedelta(days=3))
    stored = (await client.jetstream().stream_info(STREAM)).state.messages
    assert 1 <= stored <= AT_ONCE + 1, "only what was on its way may still arrive"
    await client.close()
