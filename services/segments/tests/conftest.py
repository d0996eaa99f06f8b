"""Fixtures of the segments tests."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common import derive
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.operations import worker as operations
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.segments.main import SERVICE

Settle = Callable[[], Awaitable[None]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


async def compute(runtime: ServiceRuntime) -> None:
    """Compute whoever is stale."""
    assert SERVICE.derive is not None
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE stale SET at = now()"))
        while await derive.derive_once(session, SERVICE.derive):
            pass


@pytest.fixture
def settle(runtime: ServiceRuntime) -> Settle:
    """Build what is to be built, and compute whoever is stale."""

    async def done() -> None:
        while await operations.step_once(runtime):
            pass
        await compute(runtime)

    return done


@pytest.fixture
def hear(runtime: ServiceRuntime) -> Callable[..., Awaitable[None]]:
    """As the worker does: events and facts of others, the map among them; then compute the customers."""

    async def heard(*events: Any) -> None:
        async with runtime.database.write() as session:
            await session.execute(text("SELECT 1"))
            await react(runtime, session, reactions_of(SERVICE), events)
        await compute(runtime)

    return heard


@pytest.fixture
def assign(hear: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """`await assign(via, customer, version=2)`: the map says so."""

    async def assigned(via: UUID, customer: UUID, *, version: int) -> None:
        said = [Assignment(via=via, customer=customer, version=version)]
        await hear(IdentifiersAssigned(assignments=said))

    return assigned
