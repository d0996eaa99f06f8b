"""Fixtures of computed traits: the standard set, definitions, and work that is done now."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from perennial.common.runtime import Runtime
from perennial.profile.computed.jobs import build_once


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
