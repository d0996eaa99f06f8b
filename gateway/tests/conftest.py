"""The gateway as it runs: its real ASGI application on real Postgres and real JetStream."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from perennial.common.contracts.gateway import AcceptedEvent, EventsAccepted
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.gateway.edge import Edge
from perennial.gateway.main import SERVICE
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import API_KEY, WRITE_KEY, Send, Stored, messages, started

EVENTS = msgspec.json.Decoder(EventsAccepted)


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture
def gateway_settings(settings: CommonSettings) -> GatewaySettings:
    """With a development source, which may import, and a development key, which may all."""
    keys = {"dev_write_key": SecretStr(WRITE_KEY), "dev_api_key": SecretStr(API_KEY)}
    return GatewaySettings.model_validate({**settings.model_dump(), **keys})


@pytest.fixture
async def gateway(live_runtime: ServiceRuntime, gateway_settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    async with started(live_runtime, gateway_settings) as running:
        yield running


@pytest.fixture
def edge(gateway: FastAPI) -> Edge:
    found: Edge = gateway.state.edge
    return found


@pytest.fixture
async def http(gateway: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    transport = httpx.ASGITransport(gateway, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as opened:
        yield opened


@pytest.fixture
async def admin(gateway: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with every scope."""
    transport = httpx.ASGITransport(gateway, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=headers) as opened:
        yield opened


@pytest.fixture
def stored(live_runtime: ServiceRuntime) -> Stored:
    """Every event that is in the stream."""

    async def read() -> list[AcceptedEvent]:
        return [
            event for message in await messages(live_runtime) for event in EVENTS.decode(message.data or b"").events
        ]

    return read


@pytest.fixture
def send(http: httpx.AsyncClient) -> Send:
    """Post a batch with the development key; `content` replaces the JSON."""

    async def post(events: object = None, *, path: str = "/v1/batch", **extra: Any) -> httpx.Response:
        envelope = extra.pop("envelope", {})
        content = extra.pop("content", None) or json.dumps({"batch": events, **envelope})
        return await http.post(path, content=content, auth=extra.pop("auth", (WRITE_KEY, "")), **extra)

    return post
