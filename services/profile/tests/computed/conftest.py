"""Fixtures of computed traits: the standard set, definitions, and work that is done now."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.runtime import Runtime
from perennial.profile.computed import standard
from perennial.profile.computed.jobs import build_once


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
async def standard_set(seed: Callable[[Database], Awaitable[None]], runtime: Runtime) -> None:
    await seed(runtime.database)


@pytest.fixture
def build(runtime: Runtime) -> Callable[[], Awaitable[int]]:
    """`await build()`: everything that definitions ask for is done; how many steps it took."""

    async def built() -> int:
        steps = 0
        while True:
            async with runtime.database.write() as session:
                if not await build_once(session):
                    return steps
            steps += 1

    return built


@pytest.fixture
def declare(client: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """`await declare("key", function="count", …)`: the answer."""

    async def declared(key: str, **spec: Any) -> httpx.Response:
        body = {"key": key, "label": {"en": key, "zh": "键"}, **spec}
        return await client.post("/v1/computed-traits", json=body, headers={"Idempotency-Key": f"define-{key}"})

    return declared
