"""Who uses a segment: what other services say of their rules, in any order, and what follows for archiving."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common import run, streams
from perennial.common.contracts import campaigns, identity, profile, tickets
from perennial.common.contracts.base import RulesState, RuleState
from perennial.common.outbox import emit
from perennial.common.service import Service, ServiceRuntime
from perennial.segments.main import SERVICE
from perennial.segments.users import queries

Hear = Callable[..., Awaitable[None]]
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ANY = {"If-Match": "*"}

# Those whose facts are heard: the streams must be there.
OTHERS = (
    Service("identity", "identity", SERVICE.metadata, emits=(identity.IdentifiersAssigned,)),
    Service("profile", "profile", SERVICE.metadata, emits=(profile.RulesChanged,)),
    Service("campaigns", "campaigns", SERVICE.metadata, emits=(campaigns.RulesChanged,)),
    Service("tickets", "tickets", SERVICE.metadata, emits=(tickets.RulesChanged,)),
)


def journey(
    *segments: UUID, version: int, key: str = "7", name: str = "Win back", state: str = "published",
    at: datetime = NOW, by: type[RulesState] = campaigns.RulesChanged, kind: str = "journey",
) -> RulesState:  # fmt: skip
    rule = RuleState(kind=kind, id=key, name=name, state=state, segments=list(segments), version=version)
    return by(rules=[rule], occurred_at=at)


async def define(client: httpx.AsyncClient, name: str = "lapsed", **body: Any) -> UUID:
    made = await client.post("/v1/segments", json={"name": name, "kind": "list", **body})
    assert made.status_code == 201, made.text
    return UUID(made.json()["id"])


async def users(client: httpx.AsyncClient, segment: UUID) -> list[dict[str, str]]:
    found: list[dict[str, str]] = (await client.get(f"/v1/segments/{segment}/dependencies")).json()["used_elsewhere"]
    return found


async def test_rules_of_every_service_are_shown_with_their_names_and_states(
    client: httpx.AsyncClient, hear: Hear
) -> None:
    segment, other = await define(client), await define(client, "other")
    await hear(
        journey(segment, other, version=1),
        journey(segment, version=1, key="8", name="草稿", state="draft"),
        journey(segment, version=1, by=tickets.RulesChanged, kind="dispatch_rule", name="VIPs first", state="enabled"),
        journey(segment, version=1, by=profile.RulesChanged, kind="tag", key="loyal", name="Loyal", state="active"),
    )
    assert [list(user.values()) for user in await users(client, segment)] == [
        ["campaigns", "journey", "7", "Win back", "published"],
        ["campaigns", "journey", "8", "草稿", "draft"],
        ["profile", "tag", "loyal", "Loyal", "active"],
        ["tickets", "dispatch_rule", "7", "VIPs first", "enabled"],
    ]
    assert [user["id"] for user in await users(client, other)] == ["7"]


@pytest.mark.parametrize("together", [True, False])
async def test_of_a_rule_the_newest_version_counts_in_whatever_order_it_is_heard(
    client: httpx.AsyncClient, hear: Hear, *, together: bool
) -> None:
    old, new, left = await define(client, "old"), await define(client, "new"), await define(client, "left")
    facts = [
        journey(new, left, version=2, at=NOW),
        journey(new, version=2, at=NOW + timedelta(seconds=1)),  # the last has left the version before
        journey(old, version=1, at=NOW + timedelta(hours=1)),
        journey(new, left, version=2, at=NOW),
    ]
    for said in [facts] if together else [[fact] for fact in facts]:
        await hear(*said)
    assert (await users(client, old), await users(client, left)) == ([], [])
    assert [user["name"] for user in await users(client, new)] == ["Win back"]


async def test_a_segment_in_use_is_not_archived(client: httpx.AsyncClient, hear: Hear) -> None:
    segment = await define(client)
    await hear(journey(segment, version=1))
    refused = await client.delete(f"/v1/segments/{segment}", headers=ANY)
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert refused.json()["detail"] == "segment: it is used by journey Win back (campaigns)"
    await hear(journey(version=2, state="archived"))
    assert (await client.delete(f"/v1/segments/{segment}", headers=ANY)).status_code == 204


async def test_a_rule_that_its_service_names_no_longer_uses_nothing(client: httpx.AsyncClient, hear: Hear) -> None:
    segment = await define(client)
    await hear(journey(segment, version=1), journey(segment, version=1, key="8"))
    for days in range(1, 5):
        await hear(
            journey(segment, version=1, key="8", at=NOW + timedelta(days=days)),
            journey(version=1, by=tickets.RulesChanged, kind="dispatch_rule", at=NOW + timedelta(days=30 + days)),
        )
        assert len(await users(client, segment)) == (1 if days > 2 else 2)


async def test_very_many_users_are_not_all_named(client: httpx.AsyncClient, hear: Hear) -> None:
    segment = await define(client)
    await hear(*(journey(segment, version=1, key=str(number), name=f"J{number}") for number in range(25)))
    refused = await client.delete(f"/v1/segments/{segment}", headers=ANY)
    assert refused.json()["detail"].endswith("and 5 more")


async def test_a_segment_that_is_not_known_here_does_no_harm(
    client: httpx.AsyncClient, hear: Hear, runtime: ServiceRuntime
) -> None:
    segment = await define(client)
    await hear(journey(uuid4(), segment, version=1), campaigns.RulesChanged(rules=[]))
    assert len(await users(client, segment)) == 1
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM parked"))).scalar_one() == 0


async def test_what_is_said_on_the_streams_is_heard(live_runtime: ServiceRuntime) -> None:
    await streams.apply(live_runtime.js, streams.plan([SERVICE, *OTHERS]))
    segment = uuid4()
    contracts = (campaigns.RulesChanged, tickets.RulesChanged, profile.RulesChanged)
    async with live_runtime.database.write() as session:  # as if each said it by an outbox of its own
        await emit(session, *(journey(segment, version=1, by=contract) for contract in contracts))

    async def known() -> list[str]:
        async with live_runtime.database.read() as session:
            return [user.service for user in await queries.users_of(session, segment)]

    tasks = run.start_worker(live_runtime)
    try:
        async with asyncio.timeout(60):
            while len(await known()) < len(contracts):
                await asyncio.sleep(0.05)
    finally:
        live_runtime.stopping.set()
        await run.drain(tasks)
    assert await known() == ["campaigns", "profile", "tickets"]
