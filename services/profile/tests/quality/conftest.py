"""Fixtures of data quality: rules, measuring at an instant, operations that are done now."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.common.service import ServiceRuntime
from perennial.profile.quality.measuring import service

Measure = Callable[..., Awaitable[None]]
MakeRule = Callable[..., Awaitable[Any]]


@pytest.fixture
def measure(runtime: ServiceRuntime) -> Measure:
    """`await measure(now)`: what the jobs do."""

    async def measured(now: datetime | None = None) -> None:
        more = True
        while more:
            async with runtime.database.write() as session:
                more = await service.fill(session)
        async with runtime.database.write() as session:
            for row in await service.on_outliers(session):
                await service.take_baseline(session, row, now or utc_now())
        async with runtime.database.write() as session:
            await service.measure(session, now or utc_now())

    return measured


@pytest.fixture
def rule(client: httpx.AsyncClient) -> MakeRule:
    """`await rule(kind="outlier", key="age")`: the rule as it was made."""

    async def made(**body: Any) -> Any:
        answer = await client.post("/v1/quality/rules", json={"name": "a rule", **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return made


@pytest.fixture
def operate(client: httpx.AsyncClient, runtime: ServiceRuntime) -> Callable[[str], Awaitable[Any]]:
    """`await operate("/v1/quality/rules/…/apply")`: the result of the operation."""

    async def done(path: str) -> Any:
        started = await client.post(path, headers={"Idempotency-Key": str(uuid7())})
        assert started.status_code == 202, started.text
        while await worker.step_once(runtime):
            pass
        over = (await client.get(started.headers["Location"])).json()
        assert over["state"] == "succeeded", over
        return over["result"]

    return done
