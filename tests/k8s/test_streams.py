"""The plan in a file makes the same streams and consumers as the code does."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from nats.js.client import JetStreamContext

from deploy.k8s.generate.dependencies import ROOT
from deploy.k8s.generate.streams import planned
from perennial.common import service as services
from perennial.common.runtime import connect_nats
from perennial.common.streams import Plan, apply, plan, read_plan


async def _empty(js: JetStreamContext) -> None:
    for info in await js.streams_info():
        await js.delete_stream(str(info.config.name))


@pytest.fixture
async def js() -> AsyncIterator[JetStreamContext]:
    client = await connect_nats(os.environ["PERENNIAL_TEST_NATS_URL"], "test")
    context = client.jetstream(timeout=10)
    await _empty(context)
    yield context
    await _empty(context)
    await client.close()


async def _made(js: JetStreamContext, wanted: Plan) -> dict[str, Any]:
    await apply(js, wanted)
    found: dict[str, Any] = {}
    for info in await js.streams_info():
        name = str(info.config.name)
        found[name] = info.config
        consumers = await js.consumers_info(name)
        found |= {f"{name}/{one.name}": _told(one.config.as_dict()) for one in consumers}
    return found


def _told(config: dict[str, Any]) -> dict[str, Any]:
    """Without what the broker says of itself."""
    return {key: value for key, value in config.items() if key != "metadata"}


def _by_code() -> Plan:
    return plan([services.load(name) for name in services.names()])


def _by_file() -> Plan:
    return read_plan((ROOT / "prepare/streams.json").read_text())


@pytest.mark.parametrize("first", [_by_code, _by_file])
async def test_a_plan_in_a_file_is_the_plan(js: JetStreamContext, first: Callable[[], Plan]) -> None:
    once = await _made(js, first())
    again = await _made(js, _by_file())
    assert once == again
    assert {name for name in once if "/" not in name} == set(planned().streams)
    assert await _made(js, _by_code()) == once


def test_sizes_and_replicas_are_the_deployments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERENNIAL_STREAM_BYTES_INGEST", "1048576")
    read = read_plan((ROOT / "prepare/streams.json").read_text(), replicas=3)
    assert (read.streams["INGEST"].max_bytes, read.streams["EVENTS"].num_replicas) == (1048576, 3)


def test_the_command_prints_the_plan() -> None:
    argv = (sys.executable, "-m", "perennial.common.streams", "plan")
    said = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    held = json.loads((ROOT / "prepare/streams.json").read_text())
    assert said["consumers"] == held["consumers"]
    assert said["streams"].keys() == held["streams"].keys()


def test_where_several_services_are_installed_one_is_named() -> None:
    argv = (sys.executable, "-m", "perennial.common.run", "--api")
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "service" in done.stderr
