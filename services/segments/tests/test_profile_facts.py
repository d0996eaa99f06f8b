"""What profile says of customers is there for rules, in both evaluators, through merges and in any order."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.profile import (
    ComputedTraits,
    ComputedTraitsChanged,
    CustomerStage,
    CustomerTags,
    StagesChanged,
    TagsChanged,
    TraitDefinition,
    TraitsDefined,
)
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked

Settle = Callable[[], Awaitable[None]]
Hear = Callable[..., Awaitable[None]]
NOW = datetime.now(UTC)
TAGGED: dict[str, Any] = {"trait": "tags", "contains": "vip"}
STAGED: dict[str, Any] = {"trait": "stage", "is": "grown"}
ORDERS_DEFINED = TraitsDefined(traits=[TraitDefinition(key="orders_30d", type="number", computed=True, version=1)])
BIG: dict[str, Any] = {"trait": "orders_30d", "gte": 3}


def tags(customer: UUID, version: int, *shown: str, live: bool = False) -> TagsChanged:
    return TagsChanged(customers=[CustomerTags(customer=customer, version=version, tags=list(shown), live=live)])


def stage(customer: UUID, version: int, shown: str | None) -> StagesChanged:
    item = CustomerStage(customer=customer, ladder="life", stage=shown, since=NOW, version=version)
    return StagesChanged(customers=[item])


def computed(customer: UUID, version: int, **traits: Any) -> ComputedTraitsChanged:
    return ComputedTraitsChanged(customers=[ComputedTraits(customer=customer, version=version, traits=traits)])


@pytest.fixture
async def defined(hear: Hear) -> None:
    """The computed trait of these tests."""
    await hear(ORDERS_DEFINED)


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str) -> str:
    made = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def members(client: httpx.AsyncClient, segment: str) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment}/members")).json()["items"]
    return {item["customer_id"] for item in listed}


async def said(runtime: Runtime) -> list[str]:
    async with runtime.database.read() as session:
        return list((await session.execute(text("SELECT subject FROM outbox ORDER BY id"))).scalars())


@pytest.mark.usefixtures("defined")
async def test_tags_stages_and_computed_traits_are_asked_by_both_evaluators(
    client: httpx.AsyncClient, hear: Hear, settle: Settle
) -> None:
    who = tracked("Seen")
    rules = {"tagged": TAGGED, "staged": STAGED, "big": BIG}
    early = {name: await define(client, rule, name) for name, rule in rules.items()}
    await settle()
    await hear(who)
    await hear(tags(who.via, 1, "new", "vip"), stage(who.via, 1, "grown"), computed(who.via, 1, orders_30d=4))
    late = {name: await define(client, rule, f"{name} by SQL") for name, rule in rules.items()}
    await settle()
    for name in rules:
        assert await members(client, early[name]) == await members(client, late[name]) == {str(who.via)}, name
        explained = await client.get(f"/v1/segments/{early[name]}/members/{who.via}/explain")
        assert explained.json()["reason"]["value"] == {"tagged": ["new", "vip"], "staged": "grown", "big": 4}[name]
    await hear(tags(who.via, 2), stage(who.via, 2, None), computed(who.via, 2, orders_30d=None))
    for name in rules:
        assert await members(client, early[name]) == await members(client, late[name]) == set(), name


async def test_an_older_version_changes_nothing(client: httpx.AsyncClient, hear: Hear, settle: Settle) -> None:
    who = tracked("Seen")
    segment = await define(client, TAGGED, "tagged")
    await settle()
    await hear(tags(who.via, 7, "vip"))
    assert await members(client, segment) == set(), "a customer who is not known yet"
    await hear(who)
    assert await members(client, segment) == {str(who.via)}
    await hear(tags(who.via, 6))
    assert await members(client, segment) == {str(who.via)}
    await hear(tags(who.via, 9), tags(who.via, 8, "vip"))
    assert await members(client, segment) == set()


async def test_nobody_says_of_themselves_what_profile_works_out(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, defined: None
) -> None:
    who = identified({"tags": ["vip"], "stage": "grown", "orders30d": 9, "orders_30d": 9})
    segments = [await define(client, rule, str(n)) for n, rule in enumerate((TAGGED, STAGED, BIG))]
    await settle()
    await hear(who)
    assert [await members(client, segment) for segment in segments] == [set()] * 3


async def test_what_somebody_said_before_it_was_defined_gives_way_though_profile_says_the_same_again(
    client: httpx.AsyncClient, hear: Hear, settle: Settle
) -> None:
    who = tracked("Seen")
    await hear(computed(who.via, 1, orders_30d=4), who)
    await hear(identified({"orders_30d": 1}, via=who.via, at=datetime.now(UTC) + timedelta(seconds=1)))
    await hear(ORDERS_DEFINED)
    segment = await define(client, BIG, "big")
    await settle()
    assert await members(client, segment) == set()
    await hear(computed(who.via, 2, orders_30d=4))
    assert await members(client, segment) == {str(who.via)}


async def test_it_is_said_aloud_only_where_something_live_was_the_cause(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, runtime: Runtime
) -> None:
    one, other = tracked("Seen"), tracked("Seen")
    segment = await define(client, TAGGED, "tagged")
    await settle()
    await hear(one, other)
    await hear(tags(one.via, 1, "vip"))
    assert "segments.membership.entered.v1" not in await said(runtime)
    await hear(tags(other.via, 2, "vip", live=True))
    assert (await said(runtime)).count("segments.membership.entered.v1") == 1
    assert await members(client, segment) == {str(one.via), str(other.via)}


async def test_a_merge_and_its_undo_leave_what_is_said_of_each(
    client: httpx.AsyncClient, hear: Hear, settle: Settle, assign: Callable[..., Awaitable[None]]
) -> None:
    one, other = tracked("Seen"), tracked("Seen", at=NOW - timedelta(days=1))
    segment = await define(client, TAGGED, "tagged")
    await settle()
    await hear(one, other)
    await hear(tags(one.via, 1, "new"), tags(other.via, 2, "vip"))
    assert await members(client, segment) == {str(other.via)}
    await assign(other.via, one.via, version=2)
    assert await members(client, segment) == set(), "what was said of the one who is no more does not hold for others"
    await hear(tags(other.via, 3), tags(one.via, 4, "new", "vip"))
    assert await members(client, segment) == {str(one.via)}
    await hear(tags(one.via, 5, "new"), tags(other.via, 6, "vip"))
    assert await members(client, segment) == set(), "said before we know of the split"
    await assign(other.via, other.via, version=3)
    assert await members(client, segment) == {str(other.via)}


@pytest.mark.parametrize("order", [(1, 2), (2, 1)], ids=["in order", "out of order"])
async def test_definitions_in_any_order(client: httpx.AsyncClient, hear: Hear, order: tuple[int, int]) -> None:
    states = {1: False, 2: True}
    for version in order:
        archived = states[version]
        item = TraitDefinition(key="shoe_size", type="number", archived=archived, version=version)
        await hear(TraitsDefined(traits=[item]))
    refused = await client.post("/v1/segments", json={"name": "x", "rule": {"trait": "shoe_size", "gte": 40}})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_field")
