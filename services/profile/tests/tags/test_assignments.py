"""Tags that people and imports give: facts under an identifier, over merges and time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Fire = Callable[..., Awaitable[list[str]]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
Told = Callable[[str], Awaitable[list[dict[str, Any]]]]


@pytest.fixture
async def tags(client: httpx.AsyncClient) -> None:
    """A manual tag, one that lasts, an imported one, one by rule and one by that."""
    said: dict[str, dict[str, Any]] = {
        "vip": {"kind": "manual", "weights": {"lost": 3.0}},
        "guest": {"kind": "manual", "lasts": "P7D"},
        "member": {"kind": "imported"},
        "pro": {"kind": "rule", "rule": {"trait": "plan", "is": "pro"}},
        "vip_pro": {"kind": "rule", "rule": {"all": [{"trait": "tags", "contains": tag} for tag in ("vip", "pro")]}},
    }
    for key, body in said.items():
        made = await client.post("/v1/tags", json={"key": key, "label": {"en": key}, "dimension": "value", **body})
        assert made.status_code == 201, made.text


async def give(client: httpx.AsyncClient, via: UUID, key: str, **body: Any) -> None:
    answer = await client.put(f"/v1/customers/{via}/tags/{key}", json=body)
    assert answer.status_code == 204, answer.text


async def test_a_tag_is_given_shown_and_taken_back(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, shown: Shown, told: Told
) -> None:
    via = uuid7()
    await hear(identified({"plan": "pro"}, via=via))
    await give(client, via, "vip", why="knows the owner")
    await derive()
    assert (await shown())[via] == {"vip", "pro", "vip_pro"}
    items = {item["key"]: item for item in (await client.get(f"/v1/customers/{via}/tags")).json()["items"]}
    assert (items["vip"]["by"], items["vip"]["why"]) == ("api_key:tester", "knows the owner")
    assert items["vip_pro"]["by"] == "rule:vip_pro:1"
    assert (await client.delete(f"/v1/customers/{via}/tags/vip")).status_code == 204
    await derive()
    assert (await shown())[via] == {"pro"}
    states = [state for fact in await told("profile.tags.changed.v1") for state in fact["customers"]]
    assert [(state["added"], state["removed"]) for state in states] == [
        (["pro", "vip", "vip_pro"], []), ([], ["vip", "vip_pro"]),
    ]  # fmt: skip
    assert states[0]["version"] < states[1]["version"]
    assert states[1]["tags"] == ["pro"]


async def test_what_changes_nothing_says_nothing(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, told: Told
) -> None:
    via = uuid7()
    await give_known(client, hear, via)
    await derive()
    await hear(tracked("Searched", via=via))
    await derive()
    assert len(await told("profile.tags.changed.v1")) == 1


async def give_known(client: httpx.AsyncClient, hear: Hear, via: UUID) -> None:
    await hear(tracked("Searched", via=via))
    await give(client, via, "vip")


async def test_the_clock_ends_what_is_given_for_a_time(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, derive_at: Derive, shown: Shown,
    runtime: Runtime,
) -> None:  # fmt: skip
    via = uuid7()
    await hear(tracked("Searched", via=via))
    await give(client, via, "guest")
    await give(client, via, "vip", expires_at=(datetime.now(UTC) + timedelta(days=30)).isoformat())
    await derive()
    assert (await shown())[via] == {"guest", "vip"}
    for days, left in ((7, {"vip"}), (30, set())):
        async with runtime.database.read() as session:
            due = (await session.execute(text("SELECT due_at FROM timer WHERE kind = 'tags'"))).scalar_one()
        assert abs(due - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)
        await derive_at(due)
        assert (await shown())[via] == left
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM timer WHERE kind = 'tags'"))).scalar_one() == 0


async def test_a_timer_marks_the_customer_and_nobody_is_scanned(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, fire: Fire, runtime: Runtime
) -> None:
    one, other = uuid7(), uuid7()
    await hear(tracked("Searched", via=one), tracked("Searched", via=other))
    await give(client, one, "guest")
    await derive()
    await fire()
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM stale"))
    assert await fire("tags", until=datetime.now(UTC) + timedelta(days=8)) == ["tags"]
    async with runtime.database.read() as session:
        assert (await session.execute(text("SELECT customer_id, live FROM stale"))).all() == [(one, True)]


async def test_a_merge_and_its_undo(
    tags: None, client: httpx.AsyncClient, hear: Hear, assign: Hear, derive: Derive, shown: Shown, told: Told
) -> None:
    one, other = uuid7(), uuid7()
    await hear(identified({"plan": "pro"}, via=one), tracked("Searched", via=other))
    await give(client, other, "vip")
    await derive()
    assert await shown() == {one: {"pro"}, other: {"vip"}}
    await assign(one, one, other, version=2)
    await derive()
    assert await shown() == {one: {"pro", "vip", "vip_pro"}}
    left = [state for fact in await told("profile.tags.changed.v1") for state in fact["customers"]][-2:]
    assert {state["customer"]: state["tags"] for state in left} == {str(other): [], str(one): ["pro", "vip", "vip_pro"]}
    assert (await client.get(f"/v1/customers/{other}/tags")).json()["customer_id"] == str(one)
    assert (await client.delete(f"/v1/customers/{other}/tags/vip")).status_code == 204
    await derive()
    assert await shown() == {one: {"pro"}}, "the newest says, under whichever identifier"
    await assign(other, other, version=3)
    await derive()
    assert await shown() == {one: {"pro"}, other: {"vip"}}, "what was taken back while they were one"


async def test_many_at_once_and_ids_of_nobody(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, shown: Shown
) -> None:
    known, nobody = [uuid7() for _ in range(3)], uuid7()
    await hear(*(tracked("Searched", via=via) for via in known))
    body: dict[str, Any] = {
        "customers": [str(via) for via in [*known, nobody]],
        "origin": "import",
        "why": "the list of May",
    }
    headers = {"Idempotency-Key": "may"}
    for _ in range(2):
        given = await client.post("/v1/tags/member/assignments", json=body, headers=headers)
        assert given.json() == {"customers": 3, "unknown": [str(nobody)]}
    await derive()
    assert await shown() == {via: {"member"} for via in known}
    body |= {"customers": [str(known[0])], "held": False}
    await client.post("/v1/tags/member/assignments", json=body)
    await derive()
    assert (await shown())[known[0]] == set()


REFUSED: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "nobody": ("PUT", f"/v1/customers/{uuid7()}/tags/vip", {}, 404),
    "no tag": ("PUT", "/v1/customers/{via}/tags/none", {}, 404),
    "derived": ("PUT", "/v1/customers/{via}/tags/pro", {}, 422),
    "derived back": ("DELETE", "/v1/customers/{via}/tags/pro", {}, 422),
    "past": ("PUT", "/v1/customers/{via}/tags/vip", {"expires_at": "2020-01-01T00:00:00Z"}, 422),
    "time": ("PUT", "/v1/customers/{via}/tags/vip", {"expires_at": 5}, 422),
    "no zone": ("PUT", "/v1/customers/{via}/tags/vip", {"expires_at": "2099-01-01T00:00:00"}, 422),
    "long": ("PUT", "/v1/customers/{via}/tags/vip", {"why": "x" * 501}, 422),
    "none": ("POST", "/v1/tags/vip/assignments", {"customers": []}, 422),
    "no id": ("POST", "/v1/tags/vip/assignments", {"customers": ["ann"]}, 422),
    "many": ("POST", "/v1/tags/vip/assignments", {"customers": [str(UUID(int=n)) for n in range(1001)]}, 422),
    "origin": ("POST", "/v1/tags/vip/assignments", {"customers": [str(uuid7())], "origin": "import"}, 422),
    "key": ("PUT", "/v1/customers/{via}/tags/NO", {}, 422),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_cannot_be_given(name: str, tags: None, client: httpx.AsyncClient, hear: Hear) -> None:
    method, path, body, status = REFUSED[name]
    via = uuid7()
    await hear(tracked("Searched", via=via))
    sent = None if method == "DELETE" else body
    answer = await client.request(method, path.format(via=via), json=sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_only_reads_gives_nothing_and_sees_no_address(
    tags: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, token: Callable[..., str]
) -> None:
    via = uuid7()
    await hear(tracked("Searched", via=via))
    await give(client, via, "vip", why="asked by ann@example.com")
    await derive()
    reader = {"Authorization": f"Bearer {token('customers:read', fields=())}"}
    assert (await client.put(f"/v1/customers/{via}/tags/vip", json={}, headers=reader)).status_code == 403
    for path in ("tags", "tags/vip/explain"):
        answer = await client.get(f"/v1/customers/{via}/{path}", headers=reader)
        assert answer.status_code == 200, answer.text
        assert "ann@" not in answer.text
