"""Fixtures of the integrations tests: a partner's endpoint on loopback."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from perennial.common.db import Database
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.integrations.delivery import settings_of
from perennial.integrations.egress import Egress
from perennial.integrations.main import SERVICE


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")  # type: ignore[no-redef]
def extra_settings() -> dict[str, Any]:
    return {"egress_allow_cidrs": ["127.0.0.0/8"]}


@pytest.fixture
def process(settings: Any, committed: Database) -> ServiceRuntime:
    return ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]


@pytest.fixture
async def egress(process: ServiceRuntime) -> AsyncIterator[Egress]:
    made = Egress(settings_of(process).egress_allow_cidrs, 2)
    yield made
    await made.close()


@dataclass
class Partner:
    """A partner's endpoint: it answers with the next of `answers`, or 200, and remembers what it got."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    delay: float = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        await asyncio.sleep(self.delay)
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        return web.Response(status=status, headers=headers, text="thanks")


@pytest.fixture
async def partner() -> AsyncIterator[Partner]:
    made = Partner()
    app = web.Application()
    app.router.add_post("/hook", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}/hook"
    yield made
    await runner.cleanup()
