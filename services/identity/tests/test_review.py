"""Conflicts as a queue for a person, and a person's word on shared identifiers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.policy.rules import DEFAULT

WHY = {"reason": "she has shown her card"}
Decide = Callable[..., Awaitable[Any]]


async def queue(client: httpx.AsyncClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = await client.get("/v1/conflicts", params=wanted)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def settle(client: httpx.AsyncClient, conflict: dict[str, Any], how: str) -> httpx.Response:
    return await client.post(f"/v1/conflicts/{conflict['id']}/{how}", json=WHY)


async def customers(session: WriteSession) -> int:
    found = await session.execute(text("SELECT count(DISTINCT customer_id) FROM identity_map"))
    return int(found.scalar_one())


@pytest.fixture
def careful(session: WriteSession, keys: Keys) -> Decide:
    """As `decided`, under a policy by which every merge waits for a person."""
    strict = keys.under(replace(DEFAULT, version=1, approve_from=1))

    async def run(*events: Any, seq: int = 1) -> Any:
        return await decide(session, Arrival.of(EventsAccepted("shop", list(events)), seq), strict, datetime.now(UTC))

    return run


async def test_conflicts_are_found_by_state_reason_and_customer(
    client: httpx.AsyncClient, decided: Decide, accept: Any
) -> None:
    [ann] = await decided(accept(userId="ann", anonymousId="kiosk"))
    [bob] = await decided(accept(userId="bob", anonymousId="kiosk"))
    [late] = await decided(accept(userId="eve"))
    [found] = await queue(client, state="open")
    assert (found["state"], found["decided_at"], found["merge_id"]) == ("open", None, None)
    assert await queue(client, reason="two_user_ids") == [found]
    assert await queue(client, state="dismissed") == await queue(client, reason="approval") == []
    for one in (ann.customer, bob.customer, ann.via):
        assert await queue(client, customer_id=str(one)) == [found]
    assert await queue(client, customer_id=str(late.customer)) == []
    assert (await client.get(f"/v1/conflicts/{found['id']}")).json() == found


async def test_two_named_customers_are_not_approved_and_stay_dismissed(
    client: httpx.AsyncClient, decided: Decide, accept: Any, session: WriteSession
) -> None:
    await decided(accept(userId="ann", anonymousId="kiosk"), accept(userId="bob", anonymousId="kiosk"))
    [found] = await queue(client)
    refused = await settle(client, found, "approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "two_user_ids")
    shown = (await settle(client, found, "dismiss")).json()
    assert (shown["state"], shown["decision"], shown["decided_by"]) == ("dismissed", WHY["reason"], "api_key:tester")
    again = await settle(client, found, "approve")
    assert (again.status_code, again.json()["code"]) == (409, "already_decided")
    await decided(accept(userId="bob", anonymousId="kiosk"))
    assert await queue(client, state="open") == []
    [later] = await queue(client, state="dismissed")
    assert later["count"] == found["count"] + 1
    assert await customers(session) == 2


async def test_a_merge_that_waits_is_approved_or_never_asked_again(
    client: httpx.AsyncClient, careful: Decide, accept: Any, session: WriteSession, whole: Any
) -> None:
    for number, name in enumerate(("a", "b")):
        await careful(accept(anonymousId=f"visit-{name}"), accept(userId=name), seq=10 * number)
        both = {"anonymousId": f"visit-{name}", "userId": name}
        await careful(accept(**both), seq=10 * number + 1)
        [found] = await queue(client, state="open")
        assert (found["reason"], found["customer_id"] != found["against_customer_id"]) == ("approval", True)
        before = await customers(session)
        if name == "a":
            shown = (await settle(client, found, "approve")).json()
            assert (shown["state"], shown["customer_id"]) == ("approved", shown["against_customer_id"])
            assert await customers(session) == before - 1
            merge = (await client.get(f"/v1/merges/{shown['merge_id']}")).json()
            assert merge["evidence"]["conflict_id"] == found["id"]
        else:
            assert (await settle(client, found, "dismiss")).json()["merge_id"] is None
            await careful(accept(**both), seq=99)
            assert await customers(session) == before
            assert await queue(client, state="open") == []
    await whole(session)


async def test_what_is_one_customer_already_is_simply_approved(
    client: httpx.AsyncClient, careful: Decide, accept: Any
) -> None:
    [visit, known, _] = await careful(accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a"))
    pair = [str(visit.customer), str(known.customer)]
    [found] = await queue(client)
    assert (await client.post("/v1/merges", json={"customer_ids": pair, **WHY})).status_code == 201
    shown = (await settle(client, found, "approve")).json()
    assert (shown["state"], shown["merge_id"]) == ("approved", None)


async def test_an_approval_forgets_an_earlier_separation(
    client: httpx.AsyncClient, decided: Decide, accept: Any, session: WriteSession
) -> None:
    await decided(accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a"))
    merge_id = (await session.execute(text("SELECT id FROM merge"))).scalar_one()
    await client.post(f"/v1/merges/{merge_id}/undo", json=WHY)
    await decided(accept(userId="u", anonymousId="a"))
    [found] = await queue(client, reason="separated")
    assert (await settle(client, found, "approve")).status_code == 200
    assert (await session.execute(text("SELECT count(*) FROM separation"))).scalar_one() == 0
    audited = await session.execute(text("SELECT action FROM audit WHERE subject = :id"), {"id": found["id"]})
    assert audited.scalar_one() == "conflict.approved"


async def test_a_shared_identifier_leaves_its_customer_and_may_come_back_by_later_evidence(
    client: httpx.AsyncClient, decided: Decide, accept: Any, session: WriteSession, emitted: Any, whole: Any
) -> None:
    [visit] = await decided(accept(context={"device": {"id": "tablet"}}))
    [ann] = await decided(accept(userId="ann", context={"device": {"id": "tablet"}}))
    assert ann.customer == visit.via
    path = f"/v1/identifiers/{visit.via}"
    answer = await client.post(f"{path}/share", json=WHY)
    assert answer.json() == {"id": str(visit.via), "kind": "device_id", "customer_id": str(visit.via), "shared": True}
    await whole(session)
    [fact] = await emitted("identity.identifier.shared.v1")
    assert (fact["via"], fact["customer"], fact["met"]) == (str(visit.via), str(visit.via), 0)
    moved = (await emitted("identity.identifiers.assigned.v1"))[-1]["assignments"]
    assert {item["via"]: item["customer"] for item in moved} == {str(via): str(via) for via in (ann.via, visit.via)}, (
        "the founder keeps its name, and has lost its customer: that is a version of it"
    )
    again = await client.post(f"{path}/share", json=WHY)
    assert (again.status_code, again.json()["code"]) == (409, "already_shared")
    [shown] = (await client.get("/v1/shared-identifiers")).json()["items"]
    assert (shown["kind"], shown["shared_by"], shown["reason"]) == ("device_id", "api_key:tester", WHY["reason"])
    assert (shown["met"], shown["event_id"]) == (0, None)

    await decided(accept(userId="ann", context={"device": {"id": "tablet"}}))
    assert await customers(session) == 2
    assert (await client.post(f"{path}/unshare", json=WHY)).json()["shared"] is False
    assert await customers(session) == 2
    [back] = await decided(accept(userId="ann", context={"device": {"id": "tablet"}}))
    assert await customers(session) == 1
    assert back.customer == ann.via
    again = await client.post(f"{path}/unshare", json=WHY)
    assert (again.status_code, again.json()["code"]) == (409, "not_shared")
    trail = await session.execute(
        text("SELECT action FROM audit WHERE subject = :via ORDER BY id"), {"via": str(visit.via)}
    )
    assert list(trail.scalars()) == ["identifier.shared", "identifier.unshared"]


async def test_whom_it_was_seen_beside_is_forgotten(
    client: httpx.AsyncClient, decided: Decide, accept: Any, session: WriteSession
) -> None:
    for user in ("ann", "bob", "eve"):
        await decided(accept(userId=user, context={"device": {"id": "tablet"}}))
    [shown] = (await client.get("/v1/shared-identifiers")).json()["items"]
    assert (shown["met"], shown["shared_by"], shown["event_id"] is None) == (3, None, False)
    await client.post(f"/v1/identifiers/{shown['id']}/unshare", json=WHY)
    assert (await session.execute(text("SELECT count(*) FROM met"))).scalar_one() == 0
    [dan] = await decided(accept(userId="dan", context={"device": {"id": "tablet"}}))
    state = (await client.get(f"/v1/customers/{shown['id']}/identifiers")).json()["items"][0]
    assert state["customer_id"] == str(dan.customer)


async def test_a_user_id_is_one_persons(client: httpx.AsyncClient, decided: Decide, accept: Any) -> None:
    [ann] = await decided(accept(userId="ann"))
    answer = await client.post(f"/v1/identifiers/{ann.via}/share", json=WHY)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_shareable")


async def test_a_shared_value_is_masked_for_who_does_not_see_it(
    client: httpx.AsyncClient, decided: Decide, accept: Any, token: Any, whose: Any, session: WriteSession
) -> None:
    await decided(accept(userId="ann", traits={"phone": "+12025550123"}))
    via: UUID = (await session.execute(text("SELECT id FROM identifier WHERE kind = 'phone'"))).scalar_one()
    await client.post(f"/v1/identifiers/{via}/share", json={"reason": "the family's, +12025550123"})
    for fields, value, reason in (
        ((), "+120****0123", "****"),
        (("*",), "+12025550123", "the family's, +12025550123"),
    ):
        headers = {"Authorization": f"Bearer {token('identities:read', fields=fields)}"}
        [shown] = (await client.get("/v1/shared-identifiers", headers=headers)).json()["items"]
        assert (shown["value"], shown["reason"]) == (value, reason)
