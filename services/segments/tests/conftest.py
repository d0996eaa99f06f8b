"""Fixtures of the segments tests."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common import derive, identity_map
from perennial.common.operations import worker as operations
from perennial.common.runtime import Runtime
from perennial.common.service import Service
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.segments.facts import service as facts
from perennial.segments.main import SERVICE

Settle = Callable[[], Awaitable[None]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


async def compute(runtime: Runtime) -> None:
    """Compute whoever is stale."""
    assert SERVICE.derive is not None
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE stale SET at = now()"))
        while await derive.derive_once(session, SERVICE.derive):
            pass


@pytest.fixture
def settle(runtime: Runtime) -> Settle:
    """Build what is to be built, and compute whoever is stale."""

    async def done() -> None:
        while await operations.step_once(runtime):
            pass
        await compute(runtime)

    return done


@pytest.fixture
def hear(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """As the worker does: learn the map, keep the facts, compute the customers."""

    async def heard(*events: Any) -> None:
        async with runtime.database.write() as session:
            changes = await identity_map.learn(session, events)
            await facts.follow_map(session, changes)
            await facts.record(session, list(events))
        await compute(runtime)

    return heard
