"""An SDK that people already have, unchanged, against the real server over a real socket."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from segment.analytics.client import Client  # type: ignore[import-untyped]

from perennial.gateway.testing import WRITE_KEY, Stored


@pytest.mark.parametrize("zipped", [False, True])
async def test_segment_analytics_python(gateway: FastAPI, stored: Stored, zipped: bool) -> None:
    config = uvicorn.Config(gateway, "127.0.0.1", 0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    errors: list[Any] = []
    await asyncio.to_thread(_use, f"http://127.0.0.1:{port}", errors, zipped)
    server.should_exit = True
    await task
    assert errors == []
    found = await stored()
    assert [event.type for event in found] == ["identify", "track", "group", "alias", "page", "screen"]
    track = found[1]
    assert track.name == "Order Completed"
    assert track.live
    assert abs((track.timestamp - datetime.now(UTC)).total_seconds()) < 30
    assert b'"order_id": "o-1"' in bytes(track.body)
    assert json.loads(bytes(found[0].body))["traits"]["name"] == "Ann 😀"


def _use(host: str, errors: list[Any], zipped: bool) -> None:
    client = Client(WRITE_KEY, host=host, gzip=zipped, on_error=lambda error, _: errors.append(error))
    client.identify("u1", {"email": "ann@example.com", "name": "Ann 😀"})
    client.track("u1", "Order Completed", {"order_id": "o-1", "revenue": 12.5})
    client.group("u1", "g1", {"name": "Shop"})
    client.alias("anonymous", "u1")
    client.page("u1", "Shop", "Home")
    client.screen("u1", "Shop", "Home")
    client.flush()
    client.join()
