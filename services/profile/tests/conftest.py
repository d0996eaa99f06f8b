"""Fixtures of profile's tests: events and facts come in as the worker gets them."""

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import httpx
import msgspec
import pytest
from nats.aio.msg import Msg
from sqlalchemy import text

from perennial.common.contracts.base import Event
from perennial.common.contracts.identity import Assignment, EventsResolved, IdentifiersAssigned, ResolvedEvent
from perennial.common.db import Database, WriteSession
from perennial.common.derive import derive_once
from perennial.common.messaging.batch import BatchProcessor, react
from perennial.common.messaging.decode import resolved
from perennial.common.messaging.worker import reactions_of
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.profile.computed import standard
from perennial.profile.main import SERVICE
from perennial.profile.rows.service import DERIVATION

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def wrap() -> Callable[[list[ResolvedEvent]], Msg]:
    """Events as one message of EVENTS."""

    def message(events: list[ResolvedEvent]) -> Msg:
        data, metadata = msgspec.json.encode(EventsResolved(events)), SimpleNamespace(num_delivered=1, stream="EVENTS")
        return cast("Msg", SimpleNamespace(data=data, headers={}, subject="events", metadata=metadata))

    return message


@pytest.fixture
async def begun(session: WriteSession) -> WriteSession:
    """A session whose transaction has begun, as the inbox begins it for every batch."""
    await session.execute(text("SELECT 1"))
    return session


@pytest.fixture
def hear(runtime: ServiceRuntime, wrap: Callable[[list[ResolvedEvent]], Msg]) -> Hear:
    """`await hear(event, …)`: one batch, through the inbox; nothing may be parked. Facts go straight to the table."""
    hot = [reaction for reaction in SERVICE.reactions if reaction.hot]

    async def heard(*events: ResolvedEvent | Event) -> None:
        facts = [event for event in events if isinstance(event, Event)]
        async with runtime.database.write() as session:
            await session.execute(text("SELECT 1"))
            await react(runtime, session, reactions_of(SERVICE), facts)
        said = [event for event in events if isinstance(event, ResolvedEvent)]
        if said:
            await BatchProcessor(runtime, hot, resolved)([wrap(said)])
        async with runtime.database.read() as session:
            assert (await session.execute(text("SELECT error FROM parked"))).scalars().all() == []

    return heard


@pytest.fixture(scope="session")
def seed() -> Callable[[Database], Awaitable[None]]:
    """`await seed(database)`: what the migration does; a test on real commits has emptied it away."""

    async def seeded(database: Database) -> None:
        async with database.write() as session:
            for row in standard.seeds():
                if row["digest"]:
                    await session.execute(text(standard.SEED_FEED), {name: row[name] for name in ("digest", "feed")})
                bound = {name: row[name] for name in ("key", "labels", "spec", "digest")}
                await session.execute(text(standard.SEED), bound)

    return seeded


@pytest.fixture
async def standard_set(seed: Callable[[Database], Awaitable[None]], runtime: ServiceRuntime) -> None:
    await seed(runtime.database)


@pytest.fixture
def derive(runtime: ServiceRuntime) -> Callable[[], Awaitable[None]]:
    """`await derive()`: whatever is stale is derived now, however long it should have settled."""

    async def derived() -> None:
        async with runtime.database.write() as session:
            await session.execute(text("UPDATE stale SET at = now() - interval '1 second'"))
            while await derive_once(session, DERIVATION):
                pass

    return derived


@pytest.fixture
def assign(hear: Hear) -> Callable[..., Awaitable[None]]:
    """`await assign(customer, via, …, version=2)`: the map says whose these identifiers are."""

    async def assigned(
        customer: UUID, *vias: UUID, version: int, kind: str | None = None, digest: str | None = None
    ) -> None:
        items = [Assignment(via=via, customer=customer, version=version, kind=kind, digest=digest) for via in vias]
        await hear(IdentifiersAssigned(assignments=items))

    return assigned


@pytest.fixture
def get(client: httpx.AsyncClient) -> Show:
    """`await get("/v1/customers", q="ada")`: the JSON of a 200."""

    async def got(path: str, **params: Any) -> Any:
        response = await client.get(path, params={name.rstrip("_"): value for name, value in params.items()})
        assert response.status_code == 200, response.text
        return response.json()

    return got
