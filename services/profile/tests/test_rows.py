"""The derived row of a customer follows its facts and the map."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Derive = Callable[[], Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def rows(runtime: Runtime) -> dict[UUID, Any]:
    async with runtime.database.read() as session:
        found = await session.execute(text("SELECT * FROM customer"))
        return {row["customer_id"]: row for row in found.mappings()}


async def test_traits_are_there_with_the_event_and_the_rest_behind_it(
    hear: Hear, derive: Derive, runtime: Runtime
) -> None:
    via = uuid7()
    await hear(identified({"city": "Paris", "plan": "pro"}, via=via, at=NOON), tracked("Searched", via=via, at=NOON))
    row = (await rows(runtime))[via]
    assert (row["traits"], row["events"]) == ({"city": "Paris", "plan": "pro"}, 0)
    await derive()
    row = (await rows(runtime))[via]
    assert (row["events"], row["first_seen"], row["last_seen"]) == (2, NOON, NOON)
    await hear(identified({"plan": None}, via=via, at=NOON + timedelta(minutes=1)))
    assert (await rows(runtime))[via]["traits"] == {"city": "Paris"}


async def test_who_never_said_anything_has_a_row_as_well(hear: Hear, derive: Derive, runtime: Runtime) -> None:
    via = uuid7()
    await hear(tracked("Searched", via=via, at=NOON))
    await derive()
    assert (await rows(runtime))[via]["events"] == 1


async def test_a_merge_and_its_undo(
    hear: Hear, assign: Callable[..., Awaitable[None]], derive: Derive, runtime: Runtime
) -> None:
    one, other = uuid7(), uuid7()
    await hear(identified({"city": "Paris"}, via=one, at=NOON), identified({"plan": "pro"}, via=other, at=NOON))
    await derive()
    apart = await rows(runtime)
    await assign(one, other, version=2)
    merged = await rows(runtime)
    assert merged.keys() == {one}, "in the transaction that learnt it"
    assert merged[one]["traits"] == {"city": "Paris", "plan": "pro"}
    await assign(other, other, version=3)
    assert {key: row["traits"] for key, row in (await rows(runtime)).items()} == {
        key: row["traits"] for key, row in apart.items()
    }
    await derive()
    assert {key: row["events"] for key, row in (await rows(runtime)).items()} == {one: 1, other: 1}


async def test_who_says_nothing_new_is_not_written_again(hear: Hear, get: Show, runtime: Runtime) -> None:
    same, other = uuid7(), uuid7()
    await hear(*(identified({"name": "Ada Paul", "plan": "pro"}, via=via, at=NOON) for via in (same, other)))
    before = await rows(runtime)
    later = NOON + timedelta(minutes=1)
    await hear(
        identified({"name": "Ada Paul", "plan": "pro"}, via=same, at=later),
        identified({"name": "Bea Paul"}, via=other, at=later),
    )
    after = await rows(runtime)
    assert after[same] == before[same]
    assert after[other]["traits_at"] > before[other]["traits_at"]
    for name, found in (("Ada", same), ("Bea", other)):
        assert [item["id"] for item in (await get("/v1/customers", q=name))["items"]] == [str(found)]
