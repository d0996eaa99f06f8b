"""No 200 without the broker's ack: down, full or silent, the client is asked to send again."""

import asyncio
import socket
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from perennial.common import streams
from perennial.common.contracts.gateway import STREAM
from perennial.common.db import Database
from perennial.common.runtime import Runtime, connect_nats
from perennial.common.service import Service
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import WRITE_KEY, Send, Stored, started, track
from perennial.gateway.tracking.publish import Publisher

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

    async def start(self) -> None:
        self._process = subprocess.Popen([SERVER, "-c", self._config], stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            await asyncio.sleep(0.05)
        raise TimeoutError("nats-server did not start")

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
    settings = gateway_settings.model_copy(update={"nats_url": SecretStr(broker.url)})
    runtime = Runtime(service, settings, committed, client)
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


async def until_stored(client: httpx.AsyncClient, event: dict[str, Any]) -> None:
    async with asyncio.timeout(10):
        while (await client.post("/v1/batch", json={"batch": [event]})).status_code != 200:
            await asyncio.sleep(0.05)


async def test_a_stopped_broker(lonely: httpx.AsyncClient, broker: Broker) -> None:
    await until_stored(lonely, track(messageId="before"))
    broker.stop()
    await asyncio.sleep(0.2)
    for path, body in (("/v1/batch", {"batch": [track()]}), ("/v1/track", track())):
        begun = asyncio.get_running_loop().time()
        refused(await lonely.post(path, json=body), "broker_unavailable")
        assert asyncio.get_running_loop().time() - begun < 1, "it is known at once"
    assert (await lonely.post("/v1/batch", json={"batch": [7]})).status_code == 200, "nothing was to be stored"
    await broker.start()
    await until_stored(lonely, track(messageId="after"))


async def test_nothing_refused_while_away_appears_later(
    lonely: httpx.AsyncClient, broker: Broker, gateway_settings: GatewaySettings
) -> None:
    broker.stop()
    await asyncio.sleep(0.2)
    for _ in range(5):
        refused(await lonely.post("/v1/batch", json={"batch": [track()]}), "broker_unavailable")
    await broker.start()
    await until_stored(lonely, track(messageId="after"))
    client = await connect_nats(broker.url, "test-reader")
    assert (await client.jetstream().stream_info(STREAM)).state.messages == 1
    await client.close()


async def test_a_full_stream(send: Send, stored: Stored, live_runtime: Runtime) -> None:
    js = live_runtime.js
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config, max_msgs=1)
    assert (await send([track(messageId="1")])).status_code == 200
    refused(await send([track(messageId="2")]), "stream_full")
    refused(await send(content=b'{"userId":"u","event":"X"}', path="/v1/track"), "stream_full")
    await js.update_stream(config, max_msgs=-1)
    assert (await send([track(messageId="2")])).status_code == 200
    assert [event.message_id for event in await stored()] == ["1", "2"]


async def test_a_stream_full_by_bytes(send: Send, live_runtime: Runtime) -> None:
    js = live_runtime.js
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config, max_bytes=2000)
    refused(await send([track(properties={"x": "y" * 3000})]), "stream_full")


async def test_no_stream_at_all(send: Send, live_runtime: Runtime) -> None:
    await live_runtime.js.delete_stream(STREAM)
    refused(await send([track()]), "broker_unavailable")


async def test_too_much_in_flight(edge: Any, send: Send, live_runtime: Runtime) -> None:
    edge.intake._publisher = Publisher(live_runtime.nats, seconds=5, in_flight_bytes=3000)
    answers = await asyncio.gather(*(send([track(properties={"x": "y" * 1000})]) for _ in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {200, 503}
    refused(next(answer for answer in answers if answer.status_code == 503), "overloaded")
    assert (await send([track()])).status_code == 200
