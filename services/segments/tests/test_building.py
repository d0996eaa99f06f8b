"""Whom a build has computed again: those the clock may change, those who were touched meanwhile, and nobody else."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.segments import jobs
from perennial.segments.memberships import building

Do = Callable[..., Awaitable[Any]]
RECENT = {"all": [{"event": "Order Completed", "within": "P30D"}, {"trait": "plan", "is": "pro"}]}
EVER = {"event": "Order Completed"}
ANY = {"If-Match": "*"}


def order(via: UUID | None = None, days: float = 0) -> Any:
    at = datetime.now(UTC) - timedelta(days=days)
    return tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 1}, via=via, at=at)


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str = "x") -> str:
    made = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def change(client: httpx.AsyncClient, segment: str, rule: dict[str, Any]) -> None:
    changed = await client.patch(f"/v1/segments/{segment}", json={"rule": rule}, headers=ANY)
    assert changed.status_code == 200, changed.text


async def members(client: httpx.AsyncClient, segment: str) -> set[str]:
    return {item["customer_id"] for item in (await client.get(f"/v1/segments/{segment}/members")).json()["items"]}


async def marked(runtime: ServiceRuntime) -> set[UUID]:
    async with runtime.database.read() as session:
        return set((await session.execute(text("SELECT customer_id FROM stale"))).scalars())


async def left(runtime: ServiceRuntime) -> list[Any]:
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT operation_id FROM build UNION ALL SELECT * FROM build_touched"))
        return list(found.scalars())


async def build(runtime: ServiceRuntime) -> None:
    while await operations.step_once(runtime):
        pass


async def test_only_whom_the_clock_may_change_is_computed(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    pro, free, late = order(days=20), order(days=20), order(days=40)
    said = [identified({"plan": plan}, via=who.via) for who, plan in ((pro, "pro"), (free, "free"), (late, "pro"))]
    await hear(pro, free, late, *said)
    segment = await define(client, RECENT)
    await build(runtime)
    assert await members(client, segment) == {str(pro.via)}
    assert await marked(runtime) == {pro.via}
    await settle()
    async with runtime.database.read() as session:
        due = (await session.execute(text("SELECT key, due_at FROM timer WHERE kind = 'flip'"))).all()
    assert dict(due) == {str(pro.via): pro.timestamp + timedelta(days=30)}
    await define(client, EVER, "ever")
    await build(runtime)
    assert (await marked(runtime), await left(runtime)) == (set(), []), "the clock changes nobody's answer"


async def test_whoever_is_derived_meanwhile_is_derived_again(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    segment = await define(client, EVER)
    await operations.step_once(runtime)
    who = order()
    await hear(who)
    await build(runtime)
    assert await members(client, segment) == set()
    assert await marked(runtime) == {who.via}
    await settle()
    assert (await members(client, segment), await left(runtime)) == ({str(who.via)}, [])


async def test_other_rules_that_ask_for_the_segment_follow(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    one, other = order(), tracked("Seen")
    await hear(one, other)
    segment = await define(client, EVER)
    await settle()
    asking = await define(client, {"segment": segment}, "asking")
    await settle()
    assert await members(client, asking) == {str(one.via)}
    await change(client, segment, {"event": "Seen"})
    await build(runtime)
    assert await marked(runtime) == {one.via, other.via}
    await settle()
    assert await members(client, asking) == {str(other.via)}


@pytest.mark.parametrize("steps", [1, 2])
async def test_a_build_that_is_cancelled_between_is_settled_all_the_same(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime, steps: int
) -> None:
    """After one step it is begun, after two it serves and has marked nobody yet."""
    who = order()
    await hear(identified({"plan": "free"}, via=who.via))
    segment = await define(client, RECENT)
    for _ in range(steps):
        assert await operations.step_once(runtime)
    await hear(who, identified({"plan": "pro"}, via=who.via))
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE operation SET state = 'cancelled'"))
    await jobs.attend(runtime)
    await settle()
    assert await left(runtime) == []
    assert await members(client, segment) == ({str(who.via)} if steps == 2 else set())


async def test_what_cannot_be_asked_in_time_is_asked_of_everybody(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = order(days=20), tracked("Seen")
    await hear(one, other)
    monkeypatch.setattr(building, "AWAITING_SECONDS", "0.001")
    monkeypatch.setattr(building, "_LATER", "pg_sleep(1) IS NULL, now()")
    await define(client, {"event": "Order Completed", "within": "P30D"})
    await build(runtime)
    assert await marked(runtime) == {one.via, other.via}
