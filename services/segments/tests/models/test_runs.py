"""Runs: history, flows, and what happens while one is computed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.clusters import service as clusters
from perennial.segments.rfm.runs import building, computing, queries, service
from perennial.segments.rfm.settings import service as settings

Hear = Callable[..., Awaitable[None]]
Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]
Shop = Callable[..., Awaitable[list[UUID]]]
Standing = Callable[..., Awaitable[dict[str, Any]]]


async def cells(client: httpx.AsyncClient, path: str) -> dict[tuple[str | None, str | None], int]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return {(cell["before"], cell["after"]): cell["customers"] for cell in answer.json()["cells"]}


async def test_flows_add_up_from_run_to_run_and_since_the_last(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    customers = await shop()
    await run()
    await hear(*[bought(customers[0], 1000) for _ in range(20)], bought())
    first = (await client.get("/v1/rfm/runs")).json()["items"][0]["id"]
    now = await cells(client, f"/v1/rfm/runs/{first}/flow")
    assert now["lost", "champions"] == 1
    assert sum(n for (before, _), n in now.items() if before is None) == 1
    await run()
    newest, oldest = (item["id"] for item in (await client.get("/v1/rfm/runs")).json()["items"])
    assert oldest == first
    for by in ("group", "class", "quadrant", "cluster"):
        flow = await cells(client, f"/v1/rfm/runs/{oldest}/flow?to={newest}&by={by}")
        for side, found in ((0, oldest), (1, newest)):
            report = (await client.get(f"/v1/rfm/report?by={by}&run_id={found}")).json()
            sums: dict[str, int] = {}
            for pair, n in flow.items():
                sums[pair[side] or ""] = sums.get(pair[side] or "", 0) + n
            left_out = {"", "none"}
            assert {key: n for key, n in sums.items() if key not in left_out} == {
                group["key"]: group["customers"] for group in report["groups"] if group["customers"]
            }
    assert sum((await cells(client, f"/v1/rfm/runs/{oldest}/flow?to={newest}")).values()) == 11
    for path in (f"{oldest}/flow?to={uuid7()}", f"{uuid7()}/flow", f"{uuid7()}"):
        assert (await client.get(f"/v1/rfm/runs/{path}")).status_code == 404


async def test_whoever_is_derived_while_a_run_is_computed_is_in_it(
    database: BoundDatabase, hear: Hear, bought: Bought, standing: Standing, shop: Shop
) -> None:
    customers = await shop()
    async with database.write() as session:
        await service.want(session, "asked")
    async with database.write() as session:
        found = await computing._begin(session)
    assert found is not None
    late = bought(revenue=5000)
    async with database.write() as session:
        rows = await computing.freeze(session, found, await settings.current(session), datetime.now(UTC))
        assert rows == len(customers)
    await hear(late, bought(customers[0], 7000))
    async with database.write() as session:
        await building.stand(session, found, rows)
        await building.report(session, found)
        await session.execute(text("DELETE FROM rfm_standing WHERE customer_id = :id"), {"id": late.via})
        assert set(await building.catch_up(session, found, "USD")) == {late.via, customers[0]}
        await building.switch(session, found, datetime.now(UTC), 0, "USD")
    assert (await standing(late.via))["monetary"] == "5000.00"
    assert (await standing(customers[0]))["monetary"] == "7010.00"


async def test_a_run_whose_process_died_is_begun_anew(
    client: httpx.AsyncClient, database: BoundDatabase, shop: Shop
) -> None:
    await shop(3)
    async with database.write() as session:
        await service.want(session, "asked")
    async with database.write() as session:
        begun = await computing._begin(session)
    assert await computing.compute_next(database)
    items = (await client.get("/v1/rfm/runs")).json()["items"]
    assert [(item["id"], item["state"]) for item in items if item["state"] != "wanted"] == [(str(begun), "serving")]


async def test_a_run_that_fails_leaves_the_one_before_and_does_not_stop_the_next(
    client: httpx.AsyncClient, run: Run, monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    await shop()
    await run()
    before = (await client.get("/v1/rfm/summary")).json()
    with monkeypatch.context() as broken:
        broken.setattr(clusters, "CHILD", "perennial.segments.rfm.clusters.missing")
        await run()
    assert (await client.get("/v1/rfm/summary")).json() == before
    newest = (await client.get("/v1/rfm/runs")).json()["items"][0]
    assert (newest["state"], newest["error"]) == ("failed", "RuntimeError")
    await run()
    assert (await client.get("/v1/rfm/runs")).json()["items"][0]["state"] == "serving"


async def test_runs_are_kept_one_a_day_and_those_that_were_asked_for(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought
) -> None:
    await hear(bought())
    moved = text("""UPDATE rfm_scoring SET as_of = date_trunc('day', now(), 'UTC') - CAST(:days AS interval),
                        served_at = now() - interval '10 minutes' WHERE state = 'serving' RETURNING id""")
    made = []
    for days, cause in ((3, "day"), (3, "change"), (3, "asked"), (2, "change"), (1, "day"), (0, "change")):
        async with database.write() as session:
            await service.want(session, cause)
        assert await computing.compute_next(database)
        async with database.write() as session:
            made.append((await session.execute(moved, {"days": timedelta(days=days)})).scalar_one())
    kept = [item["id"] for item in (await client.get("/v1/rfm/runs")).json()["items"]]
    assert kept == [str(run) for run in made[:0:-1]]
    async with database.read() as session:
        assert set(await queries.superseded(session, 2, "UTC")) == set(made[1:4])
        rows = await session.execute(text("SELECT DISTINCT run_id FROM rfm_standing"))
        assert set(rows.scalars()) == set(made[1:])


async def test_who_was_erased_while_a_run_was_computed_is_not_in_it(
    client: httpx.AsyncClient, database: BoundDatabase, run: Run, shop: Shop
) -> None:
    customers = await shop(3)
    async with database.write() as session:
        await session.execute(text("INSERT INTO erased (via) VALUES (:via)"), {"via": customers[1]})
    await run()
    listed = (await client.get("/v1/rfm/customers")).json()["items"]
    assert {item["customer_id"] for item in listed} == {str(customers[0]), str(customers[2])}


async def test_a_run_marks_whoever_it_moves_and_only_for_rules_about_standings(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, shop: Shop
) -> None:
    customers = await shop(10)
    await run()
    async with database.write() as session:
        await session.execute(text("DELETE FROM stale"))
    await hear(*[bought(customers[0], 1000) for _ in range(20)])
    await run()
    async with database.read() as session:
        rows = await session.execute(text("SELECT customer_id, live, concern FROM stale"))
        marked = {customer: (live, concern) for customer, live, concern in rows}
    assert set(marked.values()) == {(False, '["orders"]')}
    assert 0 < len(marked) < len(customers)
    assert customers[0] not in marked
