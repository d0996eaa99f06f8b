"""Merging by hand, and undoing a merge."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession

ASSIGNED = "identity.identifiers.assigned.v1"
SEPARATED = "identity.customer.separated.v1"


async def merge(client: httpx.AsyncClient, one: UUID, other: UUID) -> dict[str, Any]:
    body = {"customer_ids": [str(one), str(other)], "reason": "the same person"}
    answer = await client.post("/v1/merges", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def undo(client: httpx.AsyncClient, merge_id: str) -> httpx.Response:
    return await client.post(f"/v1/merges/{merge_id}/undo", json={"reason": "two people after all"})


async def the_merge(session: WriteSession) -> str:
    return str((await session.execute(text("SELECT id FROM merge"))).scalar_one())


async def test_a_merge_by_hand(
    decided: Any, accept: Any, client: httpx.AsyncClient, emitted: Any, session: WriteSession, whole: Any
) -> None:
    [named] = await decided(accept(userId="u"))
    [visit] = await decided(accept(anonymousId="a"))
    shown = await merge(client, visit.customer, named.customer)
    assert (shown["survivor"], shown["merged"], shown["kind"]) == (str(named.customer), str(visit.customer), "manual")
    assert shown["evidence"] == {"reason": "the same person", "by": "api_key:tester"}
    assert shown["undone_at"] is None
    [fact] = await emitted("identity.customer.merged.v1")
    assert (fact["merge_id"], fact["kind"]) == (shown["id"], "manual")
    await whole(session)
    assert (await client.get(f"/v1/merges/{shown['id']}")).json() == shown
    listed = (await client.get("/v1/merges", params={"customer_id": str(visit.customer)})).json()
    assert [item["id"] for item in listed["items"]] == [shown["id"]]


async def test_an_undo_moves_back_what_was_merged_under_its_old_name(
    decided: Any, accept: Any, client: httpx.AsyncClient, emitted: Any, session: WriteSession, whole: Any, whose: Any
) -> None:
    [visit] = await decided(accept(anonymousId="a", context={"device": {"id": "d"}}))
    [named] = await decided(accept(userId="u"))
    await decided(accept(userId="u", anonymousId="a"))
    [later] = await decided(accept(userId="u", traits={"email": "u@x.cn"}))
    answer = await undo(client, await the_merge(session))
    assert answer.status_code == 200, answer.text
    assert answer.json()["undone_at"] is not None
    found = await whose(session, "user_id:u", "email:u@x.cn", "anonymous_id:a", "device_id:d")
    assert found["anonymous_id:a"] == found["device_id:d"] == visit.customer
    assert found["user_id:u"] == found["email:u@x.cn"] == named.customer == later.customer
    moved = (await emitted(ASSIGNED))[-1]["assignments"]
    assert {(item["version"], item["customer"]) for item in moved} == {(3, str(visit.customer))}
    [fact] = await emitted(SEPARATED)
    assert (fact["survivor"], fact["separated"]) == (str(named.customer), str(visit.customer))
    await whole(session)


async def test_the_same_evidence_does_not_merge_again(
    decided: Any, accept: Any, client: httpx.AsyncClient, session: WriteSession
) -> None:
    await decided(accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a"))
    await undo(client, await the_merge(session))
    [again] = await decided(accept(userId="u", anonymousId="a"))
    [visit] = await decided(accept(anonymousId="a"))
    assert again.customer != visit.customer
    [conflict] = (await client.get("/v1/conflicts", params={"reason": "separated"})).json()["items"]
    assert (conflict["customer_id"], conflict["against_customer_id"]) == (str(visit.customer), str(again.customer))

    shown = await merge(client, visit.customer, again.customer)
    assert shown["kind"] == "manual"
    [both] = await decided(accept(anonymousId="a", userId="u"))
    assert both.customer == again.customer
    assert (await session.execute(text("SELECT count(*) FROM separation"))).scalar_one() == 0


async def test_undoing_twice_is_a_conflict(
    decided: Any, accept: Any, client: httpx.AsyncClient, session: WriteSession
) -> None:
    await decided(accept(anonymousId="a"), accept(userId="u"), accept(userId="u", anonymousId="a"))
    merge_id = await the_merge(session)
    assert (await undo(client, merge_id)).status_code == 200
    second = await undo(client, merge_id)
    assert (second.status_code, second.json()["code"]) == (409, "already_undone")
    assert (await undo(client, str(uuid4()))).status_code == 404


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_nested_merges_are_undone_in_any_order(
    order: tuple[int, int], decided: Any, accept: Any, client: httpx.AsyncClient, session: WriteSession, whole: Any
) -> None:
    ones = [(await decided(accept(anonymousId=name)))[0] for name in "abc"]
    inner = await merge(client, ones[1].customer, ones[2].customer)
    outer = await merge(client, ones[0].customer, ones[1].customer)
    assert outer["merged"] == str(ones[1].customer)
    for index in order:
        assert (await undo(client, (inner, outer)[index]["id"])).status_code == 200
        await whole(session)
    now = [(await decided(accept(anonymousId=name)))[0].customer for name in "abc"]
    assert now == [one.customer for one in ones]


async def test_what_left_and_came_back_by_other_evidence_stays(
    decided: Any, accept: Any, client: httpx.AsyncClient, session: WriteSession, whole: Any
) -> None:
    a, b, c = [(await decided(accept(anonymousId=name)))[0] for name in "abc"]
    inner = await merge(client, b.customer, c.customer)
    outer = await merge(client, a.customer, b.customer)
    await undo(client, inner["id"])
    await merge(client, a.customer, c.customer)
    await undo(client, outer["id"])
    now = [(await decided(accept(anonymousId=name)))[0].customer for name in "abc"]
    assert now == [a.customer, b.customer, a.customer]
    await whole(session)


async def test_old_ids_answer_with_the_survivor(decided: Any, accept: Any, client: httpx.AsyncClient) -> None:
    [visit] = await decided(accept(anonymousId="a"))
    [named] = await decided(accept(userId="u", traits={"email": "Ann@X.cn"}))
    await merge(client, visit.customer, named.customer)
    answer = (await client.get(f"/v1/customers/{visit.customer}/identifiers", params={"limit": 2})).json()
    rest = (
        await client.get(f"/v1/customers/{named.customer}/identifiers", params={"cursor": answer["next_cursor"]})
    ).json()
    items = answer["items"] + rest["items"]
    assert {(item["kind"], item["value"]) for item in items} == {
        ("anonymous_id", "a"), ("user_id", "u"), ("email", "ann@x.cn"),
    }  # fmt: skip
    assert {item["customer_id"] for item in items} == {str(named.customer)}
    found = (await client.get("/v1/identifiers", params={"identifier": "email:ANN@x.cn "})).json()
    assert found == {"id": next(item["id"] for item in items if item["kind"] == "email"), "kind": "email",
                     "customer_id": str(named.customer)}  # fmt: skip


async def test_two_named_customers_are_not_merged(decided: Any, accept: Any, client: httpx.AsyncClient) -> None:
    [ann], [bob] = await decided(accept(userId="ann")), await decided(accept(userId="bob"))
    body = {"customer_ids": [str(ann.customer), str(bob.customer)], "reason": "?"}
    answer = await client.post("/v1/merges", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "two_user_ids")
    assert "customer_ids" in answer.json()["detail"]


A, B = "5180b943-09c4-431c-92eb-d176824adcad", "7b0c3cf4-90a4-4f0e-9d6b-0f5d3a1c2e11"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "field"),
    [
        ("POST", "/v1/merges", {"json": {"customer_ids": [A, B], "reason": "x"}}, 404, "customer_ids"),
        ("POST", "/v1/merges", {"json": {"customer_ids": [A], "reason": "x"}}, 422, "customer_ids"),
        ("POST", "/v1/merges", {"json": {"customer_ids": [A, "no"], "reason": "x"}}, 422, "customer_ids"),
        ("POST", "/v1/merges", {"json": {"customer_ids": [A, B]}}, 422, "reason"),
        ("POST", "/v1/merges", {"json": {"customer_ids": [A, B], "reason": " "}}, 422, "reason"),
        ("POST", "/v1/merges", {"json": {"customer_ids": [A, B], "reason": "x", "force": 1}}, 422, "force"),
        ("POST", f"/v1/merges/{A}/undo", {"json": {}}, 422, "reason"),
        ("GET", "/v1/merges/nonsense", {}, 422, "merge_id"),
        ("GET", f"/v1/merges/{A}", {}, 404, "merge"),
        ("GET", "/v1/merges", {"params": {"cursor": "WzFd"}}, 400, "cursor"),
        ("GET", "/v1/conflicts", {"params": {"reason": "mood"}}, 422, "reason"),
        ("GET", "/v1/identifiers", {}, 422, "identifier"),
        ("GET", "/v1/identifiers", {"params": {"identifier": "ann@x.cn"}}, 400, "identifier"),
        ("GET", "/v1/identifiers", {"params": {"identifier": "email:ann"}}, 422, "identifier"),
        ("GET", "/v1/identifiers", {"params": {"identifier": "email:no@body.cn"}}, 404, "identifier"),
        ("GET", f"/v1/customers/{A}/identifiers", {}, 404, "customer"),
        ("GET", f"/v1/customers/{A}/identifiers", {"params": {"limit": 0}}, 422, "limit"),
        ("POST", "/v1/identity/parked/replay", {"json": {"ids": []}}, 422, "ids"),
        ("POST", "/v1/identity/parked/replay", {"json": {"ids": [2**63]}}, 422, "ids"),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(
    client: httpx.AsyncClient, method: str, path: str, options: dict[str, Any], status: int, field: str
) -> None:
    answer = await client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.json()["detail"] or field in answer.json()["errors"][0]["pointer"]


async def test_scopes_are_required(client: httpx.AsyncClient, token: Any) -> None:
    reading = {"Authorization": f"Bearer {token('identities:read')}"}
    body = {"customer_ids": [A, B], "reason": "x"}
    assert (await client.post("/v1/merges", json=body, headers=reading)).status_code == 403
    assert (await client.get("/v1/merges", headers=reading)).status_code == 200
    assert (await client.get("/v1/merges", headers={"Authorization": f"Bearer {token('x:read')}"})).status_code == 403
    assert (await client.get("/v1/merges", headers={"Authorization": ""})).status_code == 401
