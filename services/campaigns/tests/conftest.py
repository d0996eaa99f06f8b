"""Campaigns' fixtures: those of common, and a small world in which customers walk."""

import pytest

from perennial.campaigns.channels.service import ensure
from perennial.campaigns.main import SERVICE
from perennial.campaigns.testing.world import World
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.common.testing.plugin import BoundDatabase


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture
async def world(database: BoundDatabase, runtime: ServiceRuntime) -> World:
    """Everything in one transaction that is rolled back; timers fire when the test says so."""
    async with database.write() as session:
        await ensure(session)
    return World(runtime)
