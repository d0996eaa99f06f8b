"""Each kind of condition explains itself, to members and to the others."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from perennial.common.contracts.profile import CustomerTags, TagsChanged, TraitDefinition, TraitsDefined
from perennial.common.testing.events import identified, tracked

Do = Callable[..., Awaitable[None]]
NOW = datetime.now(UTC)


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str) -> str:
    answer = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_each_leaf_says_what_it_saw_and_when_it_will_change(
    client: httpx.AsyncClient, hear: Do, settle: Do
) -> None:
    await hear(TraitsDefined(traits=[TraitDefinition(key="plan", type="string", version=1)]))
    base = await define(client, {"trait": "plan", "is": "pro"}, "base")
    leaves: list[dict[str, Any]] = [
        {"trait": "plan", "is": "pro"},
        {"event": "Order Completed", "sum": {"property": "revenue", "gte": 50}, "within": "P30D"},
        {"event": "Order Completed", "last": {"within_last": "P10D"}},
        {"not": {"event": "Refunded"}},
        {"segment": base},
        {"random": {"salt": "x", "lt": 100}},
        {"everyone": True},
        {"sequence": [{"event": "Order Completed"}, {"event": "Order Completed", "within": "P30D"}]},
        {"tag": "vip"},
    ]
    segment = await define(client, {"all": leaves}, "all of it")
    await settle()
    first = tracked("Order Completed", {"order_id": uuid4().hex, "revenue": 20}, at=NOW - timedelta(days=12))
    second = tracked(
        "Order Completed", {"order_id": uuid4().hex, "revenue": 40}, via=first.via, at=NOW - timedelta(days=2)
    )
    await hear(first, second, identified({"plan": "pro"}, via=first.via))
    await hear(TagsChanged(customers=[CustomerTags(customer=first.via, version=1, tags=["vip"])]))
    stranger = tracked("Seen")
    await hear(stranger)

    told = (await client.get(f"/v1/segments/{segment}/members/{first.via}/explain")).json()
    assert (told["member"], told["reason"]["holds"], told["version"]) == (True, True, 1)
    plan, spent, lately, never, inside, chance, all_, path, tag = told["reason"]["parts"]
    assert [part["pointer"] for part in told["reason"]["parts"]] == [f"/all/{place}" for place in range(9)]
    assert (plan["value"], inside["value"], 0 <= chance["value"] < 100, all_["holds"]) == ("pro", True, True, True)
    assert (spent["value"], [seen["properties"]["revenue"] for seen in spent["evidence"]]) == ("60", [40, 20])
    assert datetime.fromisoformat(spent["next_change"]) == first.timestamp + timedelta(days=30)
    assert datetime.fromisoformat(lately["next_change"]) == second.timestamp + timedelta(days=10)
    assert datetime.fromisoformat(told["reason"]["next_change"]) == second.timestamp + timedelta(days=10)
    assert (never["holds"], never["parts"][0]["pointer"], never["parts"][0]["value"]) == (True, "/all/3/not", 0)
    assert (plan["next_change"], path["holds"], tag["value"]) == (None, True, ["vip"])
    assert [datetime.fromisoformat(seen["at"]) for seen in path["evidence"]] == [second.timestamp, first.timestamp]

    told = (await client.get(f"/v1/segments/{segment}/members/{stranger.via}/explain")).json()
    assert (told["member"], told["reason"]["holds"]) == (False, False)
    assert [part["holds"] for part in told["reason"]["parts"]] == [
        False, False, False, True, False, True, True, False, False,
    ]  # fmt: skip


async def test_the_reason_is_that_of_the_version_that_serves(client: httpx.AsyncClient, hear: Do, settle: Do) -> None:
    who = tracked("Seen")
    segment = await define(client, {"event": "Seen"}, "seen")
    await settle()
    await hear(who)
    change = {"rule": {"event": "Joined"}, "draft": True}
    await client.patch(f"/v1/segments/{segment}", json=change, headers={"If-Match": "*"})
    told = (await client.get(f"/v1/segments/{segment}/members/{who.via}/explain")).json()
    assert (told["member"], told["reason"]["holds"], told["version"]) == (True, True, 1)
