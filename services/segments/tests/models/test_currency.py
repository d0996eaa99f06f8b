"""Another currency of the deployment: labels by the old one go with the next run, for everybody."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.runs import jobs
from perennial.segments.rfm.runs.computing import compute_next

Hear = Callable[..., Awaitable[None]]
Do = Callable[[], Awaitable[None]]
Shop = Callable[..., Awaitable[list[UUID]]]


async def labelled(client: httpx.AsyncClient, segment: str) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment}/members?limit=100")).json()["items"]
    return {item["customer_id"] for item in listed}


async def test_labels_of_the_old_currency_go_with_the_next_run(
    client: httpx.AsyncClient, runtime: ServiceRuntime, hear: Hear, settle: Do, run: Do, bought: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    made = await client.post("/v1/segments", json={"name": "all", "rule": {"trait": "rfm.group", "exists": True}})
    segment = made.json()["id"]
    chinese, old, database = uuid7(), uuid7(), runtime.database
    await hear(bought(old, currency="USD"), bought(chinese, currency="CNY"))
    await run()
    await settle()
    assert await labelled(client, segment) == {str(old)}
    await jobs.look(runtime)
    assert not await compute_next(database), "the same currency wants nothing"
    monkeypatch.setitem(vars(runtime.settings), "currency", "CNY")  # as a process that was started anew
    await jobs.look(runtime)
    assert await compute_next(database)
    await settle()
    assert await labelled(client, segment) == {str(chinese)}
    [newest, before] = (await client.get("/v1/rfm/runs")).json()["items"]
    assert (newest["cause"], newest["state"], before["state"]) == ("currency", "serving", "past")
    await jobs.look(runtime)
    assert not await compute_next(database), "now it is the one that serves"


async def test_a_run_of_a_version_that_kept_no_currency_is_taken_for_the_same(
    database: BoundDatabase, runtime: ServiceRuntime, shop: Shop, run: Do
) -> None:
    await shop(3)
    await run()
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_scoring SET currency = NULL"))
    await jobs.look(runtime)
    assert not await compute_next(database)
