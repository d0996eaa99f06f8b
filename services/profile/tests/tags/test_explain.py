"""Why a customer shows a tag: the same closures as the answer, asked now."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile.tags import shares

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
NOW = datetime.now(UTC)


async def why(client: httpx.AsyncClient, via: UUID, key: str, **said: Any) -> dict[str, Any]:
    answer = await client.get(f"/v1/customers/{via}/tags/{key}/explain", **said)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_which_leaf_held_with_which_value(
    catalogue: None, client: httpx.AsyncClient, hear: Hear, derive: Derive
) -> None:
    via = uuid7()
    await hear(tracked("Product Added", {"sku": "A1"}, via=via, at=NOW - timedelta(days=1)))
    await derive()
    found = await why(client, via, "cart_abandoner")
    assert (found["shown"], found["holds"], found["kind"]) == (True, True, "rule")
    added, ordered = found["reason"]["parts"]
    assert (added["holds"], added["value"], added["evidence"][0]["properties"]) == (True, 1, {"sku": "A1"})
    assert (ordered["holds"], ordered["value"], ordered["pointer"]) == (True, 0, "/all/1")
    assert datetime.fromisoformat(found["next_change"]) == NOW + timedelta(days=13)
    await hear(tracked("Order Completed", {"order_id": "1", "revenue": 5}, via=via))
    found = await why(client, via, "cart_abandoner")
    assert (found["shown"], found["holds"]) == (True, False), "the row follows within moments"


async def test_computed_and_given_tags(
    catalogue: None, client: httpx.AsyncClient, hear: Hear, derive: Derive, runtime: Runtime
) -> None:
    vias = [uuid7() for _ in range(10)]
    await hear(
        *(
            tracked("Order Completed", {"order_id": f"e{n}", "revenue": 10 * (n + 1)}, via=via, at=NOW)
            for n, via in enumerate(vias)
        )
    )
    await derive()
    async with runtime.database.write() as session:
        await shares.count(session)
    assert (await why(client, vias[9], "top_tenth_by_spend"))["cut"] == "100.00"
    lower = await why(client, vias[0], "top_tenth_by_spend")
    assert (lower["value"], lower["holds"], lower["shown"]) == ("10.00", False, False)
    assert (await why(client, vias[0], "vip"))["given"] is None
    await client.put(f"/v1/customers/{vias[0]}/tags/vip", json={"why": "a friend"})
    given = await why(client, vias[0], "vip")
    assert (given["holds"], given["given"]["why"], given["given"]["by"]) == (True, "a friend", "api_key:tester")
    assert given["next_change"] is not None, "the tag lasts a year"


async def test_what_is_masked_is_not_explained(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, token: Callable[..., str]
) -> None:
    via = uuid7()
    await hear(identified({"email": "ann@example.com"}, via=via))
    rule = {"trait": "email", "ends_with": "@example.com"}
    body = {"key": "ours", "label": {"en": "Ours"}, "dimension": "attribute", "kind": "rule", "rule": rule}
    assert (await client.post("/v1/tags", json=body)).status_code == 201
    await derive()
    assert (await why(client, via, "ours"))["reason"]["value"] == "ann@example.com"
    reader = {"Authorization": f"Bearer {token('customers:read', fields=())}"}
    answer = await client.get(f"/v1/customers/{via}/tags/ours/explain", headers=reader)
    assert answer.status_code == 403, "whoever asks could guess the address"


async def test_a_segment_that_a_rule_reads(client: httpx.AsyncClient, hear: Hear, derive: Derive, shown: Shown) -> None:
    via, segment = uuid7(), uuid7()
    body = {"key": "chosen", "label": {"en": "Chosen"}, "dimension": "value", "kind": "rule"}
    assert (await client.post("/v1/tags", json={**body, "rule": {"segment": str(segment)}})).status_code == 201
    await hear(tracked("Searched", via=via))
    await derive()
    for version, member in ((1, True), (2, False)):
        state = Membership(
            segment_id=segment, segment_name="s", customer=via, member=member, since=NOW, version=version
        )
        await hear(MembershipsChanged(memberships=[state]))
        await derive()
        assert ("chosen" in (await shown())[via]) == member
        assert (await why(client, via, "chosen"))["reason"]["value"] is member
