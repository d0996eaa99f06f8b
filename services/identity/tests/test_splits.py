"""Splitting a customer by hand, and undoing it: beside merges and their undoing, in any order."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession

ASSIGNED, SEPARATED = "identity.identifiers.assigned.v1", "identity.customer.separated.v1"
WHY = {"reason": "two sisters"}

Decide = Callable[..., Awaitable[Any]]


async def split(client: httpx.AsyncClient, customer: UUID, *identifiers: UUID) -> dict[str, Any]:
    body = {"customer_id": str(customer), "identifiers": [str(one) for one in identifiers], **WHY}
    answer = await client.post("/v1/splits", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/splits/{answer.json()['id']}"
    shown: dict[str, Any] = answer.json()
    return shown


async def undo(client: httpx.AsyncClient, kind: str, one: str) -> httpx.Response:
    return await client.post(f"/v1/{kind}/{one}/undo", json={"reason": "not after all"})


async def merge(client: httpx.AsyncClient, one: UUID, other: UUID) -> str:
    answer = await client.post("/v1/merges", json={"customer_ids": [str(one), str(other)], "reason": "the same"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def the_map(session: WriteSession) -> dict[UUID, UUID]:
    rows = await session.execute(text("SELECT via, customer_id FROM identity_map"))
    return {via: customer for via, customer in rows}  # noqa: C416 (rows are not pairs for mypy)


async def vias(session: WriteSession) -> dict[str, UUID]:
    """The identifiers of a test with one of each kind."""
    rows = await session.execute(text("SELECT kind, id FROM identifier"))
    return {kind: via for kind, via in rows}  # noqa: C416


@pytest.fixture
async def ann(decided: Decide, accept: Any, session: WriteSession) -> dict[str, UUID]:
    """One customer: the visitor `a` who founded it, then a user id, an e-mail address and a device."""
    await decided(accept(anonymousId="a"))
    await decided(accept(anonymousId="a", userId="u", traits={"email": "u@x.cn"}, context={"device": {"id": "d"}}))
    return await vias(session)


async def test_the_side_with_the_founding_identifier_keeps_the_name(
    client: httpx.AsyncClient, session: WriteSession, ann: dict[str, UUID], emitted: Any, whole: Any
) -> None:
    founder = ann["anonymous_id"]
    shown = await split(client, ann["email"], ann["email"], ann["device_id"])
    name = min(ann["email"], ann["device_id"])
    assert (shown["customer_id"], shown["separated"]) == (str(founder), str(name))
    assert set(shown["identifiers"]) == {str(ann["email"]), str(ann["device_id"])}
    assert set(shown["remaining"]) == {str(founder), str(ann["user_id"])}
    assert (shown["reason"], shown["created_by"], shown["undone_at"]) == ("two sisters", "api_key:tester", None)
    assert await the_map(session) == {
        founder: founder, ann["user_id"]: founder, ann["email"]: name, ann["device_id"]: name,
    }  # fmt: skip
    moved = (await emitted(ASSIGNED))[-1]["assignments"]
    assert {(item["via"], item["version"]) for item in moved} == {(one, 2) for one in shown["identifiers"]}
    [fact] = await emitted(SEPARATED)
    assert (fact["survivor"], fact["separated"], fact["cause"]) == (str(founder), str(name), "split")
    causes = await session.execute(text("SELECT DISTINCT cause, merge_id FROM map_change WHERE version = 2"))
    assert [tuple(row) for row in causes] == [("split", UUID(shown["id"]))]
    await whole(session)


async def test_the_rest_is_renamed_when_the_founding_identifier_leaves(
    client: httpx.AsyncClient, session: WriteSession, ann: dict[str, UUID], whole: Any
) -> None:
    founder = ann["anonymous_id"]
    shown = await split(client, founder, founder)
    name = min(set(ann.values()) - {founder})
    assert (shown["customer_id"], shown["separated"]) == (str(founder), str(name))
    assert shown["identifiers"] == [str(founder)]
    found = await the_map(session)
    assert found.pop(founder) == founder
    assert set(found.values()) == {name}
    await whole(session)
    for old in (founder, name):
        assert (await client.get("/v1/splits", params={"customer_id": str(old)})).json()["items"] == [shown]
    assert (await client.get(f"/v1/splits/{shown['id']}")).json() == shown


async def test_the_same_evidence_does_not_join_them_again_not_even_what_leaves_later(
    client: httpx.AsyncClient, session: WriteSession, ann: dict[str, UUID], decided: Decide, accept: Any
) -> None:
    await split(client, ann["email"], ann["email"], ann["device_id"])
    await decided(
        accept(userId="u", traits={"email": "u@x.cn"}), accept(anonymousId="a", context={"device": {"id": "d"}})
    )
    assert len(set((await the_map(session)).values())) == 2
    left = max(ann["email"], ann["device_id"])
    await split(client, left, left)
    await decided(
        accept(userId="u", traits={"email": "u@x.cn"}), accept(anonymousId="a", context={"device": {"id": "d"}})
    )
    assert len(set((await the_map(session)).values())) == 3
    reasons = {item["reason"] for item in (await client.get("/v1/conflicts")).json()["items"]}
    assert reasons == {"separated"}


async def test_undoing_a_split_restores_the_names_and_can_be_undone_itself(
    client: httpx.AsyncClient, session: WriteSession, ann: dict[str, UUID], whole: Any
) -> None:
    before = await the_map(session)
    for leaving in ([ann["user_id"]], [ann["anonymous_id"], ann["email"]]):
        made = await split(client, ann["email"], *leaving)
        answer = await undo(client, "splits", made["id"])
        assert answer.status_code == 200, answer.text
        assert (answer.json()["undone_by"], answer.json()["undone_reason"]) == ("api_key:tester", "not after all")
        assert await the_map(session) == before
        assert (await session.execute(text("SELECT count(*) FROM separation"))).scalar_one() == 0
        again = await undo(client, "splits", made["id"])
        assert (again.status_code, again.json()["code"]) == (409, "already_undone")
    evidence = (await client.get(f"/v1/merges/{answer.json()['merge_id']}")).json()["evidence"]
    assert evidence["split_id"] == made["id"]
    assert (await undo(client, "merges", answer.json()["merge_id"])).status_code == 200
    assert len(set((await the_map(session)).values())) == 2
    await whole(session)


async def test_a_split_is_not_undone_against_user_ids_or_another_decision(
    client: httpx.AsyncClient, session: WriteSession, ann: dict[str, UUID], decided: Decide, accept: Any
) -> None:
    made = await split(client, ann["email"], ann["email"])
    await decided(accept(userId="w", traits={"email": "u@x.cn"}))
    answer = await undo(client, "splits", made["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "two_user_ids")

    second = await split(client, ann["device_id"], ann["device_id"])
    await merge(client, ann["device_id"], ann["email"])
    answer = await undo(client, "splits", second["id"])
    assert answer.json()["code"] == "two_user_ids"

    third = await split(client, ann["anonymous_id"], ann["user_id"])
    fourth = await split(client, ann["device_id"], ann["device_id"])
    await merge(client, ann["device_id"], ann["user_id"])
    answer = await undo(client, "splits", third["id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "separated")
    assert (await undo(client, "splits", fourth["id"])).json()["code"] == "two_user_ids"
    await merge(client, ann["user_id"], ann["anonymous_id"])
    assert (await undo(client, "splits", third["id"])).json()["code"] == "same_customer"


async def test_a_merge_is_undone_wherever_a_split_has_carried_its_two_sides(
    client: httpx.AsyncClient, session: WriteSession, decided: Decide, accept: Any, whole: Any
) -> None:
    [one] = await decided(accept(anonymousId="a", context={"device": {"id": "d"}}))
    [other] = await decided(accept(userId="u"))
    await client.post("/v1/merges", json={"customer_ids": [str(one.customer), str(other.customer)], "reason": "x"})
    merge_id = (await session.execute(text("SELECT id FROM merge"))).scalar_one()
    found = await vias(session)
    await split(client, one.customer, found["user_id"], found["device_id"])
    assert (await undo(client, "merges", str(merge_id))).status_code == 200
    assert len(set((await the_map(session)).values())) == 3
    await whole(session)


async def test_what_a_split_has_parted_stays_parted_when_an_older_merge_is_undone(
    client: httpx.AsyncClient, session: WriteSession, decided: Decide, accept: Any, whole: Any
) -> None:
    a, b, c = [(await decided(accept(anonymousId=name)))[0].via for name in "abc"]
    inner = await merge(client, a, b)
    await merge(client, a, c)
    made = await split(client, a, b)
    await merge(client, c, b)
    assert (await undo(client, "merges", inner)).json()["code"] == "nothing_to_undo"
    assert set((await the_map(session)).values()) == {a}
    assert (await undo(client, "splits", made["id"])).json()["code"] == "same_customer"
    await whole(session)


A = "5180b943-09c4-431c-92eb-d176824adcad"


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "field"),
    [
        ("POST", "/v1/splits", {"json": {"customer_id": A, "identifiers": [A], "reason": "x"}}, 404, "customer_id"),
        ("POST", "/v1/splits", {"json": {"customer_id": A, "identifiers": [], "reason": "x"}}, 422, "identifiers"),
        ("POST", "/v1/splits", {"json": {"customer_id": A, "identifiers": [A]}}, 422, "reason"),
        ("POST", "/v1/splits", {"json": {"customer_id": A, "identifiers": [A], "reason": " "}}, 422, "reason"),
        ("POST", "/v1/splits", {"json": {"customer_id": A, "identifiers": [A], "reason": "\0"}}, 422, "reason"),
        ("POST", f"/v1/splits/{A}/undo", {"json": {"reason": "x"}}, 404, "split"),
        ("GET", f"/v1/splits/{A}", {}, 404, "split"),
        ("GET", "/v1/splits", {"params": {"cursor": "WzFd"}}, 400, "cursor"),
        ("POST", f"/v1/conflicts/{A}/approve", {"json": {"reason": "x"}}, 404, "conflict"),
        ("POST", f"/v1/conflicts/{A}/dismiss", {"json": {}}, 422, "reason"),
        ("GET", f"/v1/conflicts/{A}", {}, 404, "conflict"),
        ("GET", "/v1/conflicts", {"params": {"state": "mood"}}, 422, "state"),
        ("GET", "/v1/shared-identifiers", {"params": {"cursor": "WzFd"}}, 400, "cursor"),
        ("POST", f"/v1/identifiers/{A}/share", {"json": {"reason": "x"}}, 404, "identifier"),
        ("POST", f"/v1/identifiers/{A}/unshare", {"json": {"reason": ""}}, 422, "reason"),
    ],
)
async def test_bad_input_is_a_problem_that_names_the_field(
    client: httpx.AsyncClient, method: str, path: str, options: dict[str, Any], status: int, field: str
) -> None:
    answer = await client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert field in answer.json()["detail"] or field in answer.json()["errors"][0]["pointer"]


async def test_only_some_of_its_own_identifiers_can_leave_a_customer(
    client: httpx.AsyncClient, ann: dict[str, UUID], session: WriteSession
) -> None:
    def body(*identifiers: UUID) -> dict[str, Any]:
        return {"customer_id": str(ann["email"]), "identifiers": [str(one) for one in identifiers], **WHY}

    all_of_them = await client.post("/v1/splits", json=body(*ann.values()))
    assert (all_of_them.status_code, all_of_them.json()["code"]) == (422, "nothing_remains")
    foreign = await client.post("/v1/splits", json=body(ann["email"], uuid4()))
    assert (foreign.status_code, foreign.json()["errors"][0]["pointer"]) == (422, "/identifiers/1")
    assert len(set((await the_map(session)).values())) == 1


async def test_scopes_are_required(client: httpx.AsyncClient, token: Any, ann: dict[str, UUID]) -> None:
    body = {"customer_id": str(ann["email"]), "identifiers": [str(ann["email"])], **WHY}
    reading = {"Authorization": f"Bearer {token('identities:read')}"}
    writing = {"Authorization": f"Bearer {token('identities:write')}"}
    assert (await client.post("/v1/splits", json=body, headers=reading)).status_code == 403
    assert (await client.get("/v1/splits", headers=reading)).status_code == 200
    share = f"/v1/identifiers/{ann['email']}/share"
    assert (await client.post(share, json=WHY, headers=writing)).status_code == 403
    managing = {"Authorization": f"Bearer {token('identities:manage')}"}
    assert (await client.post(share, json=WHY, headers=managing)).status_code == 200


async def test_what_was_done_is_in_the_audit_trail(
    client: httpx.AsyncClient, ann: dict[str, UUID], session: WriteSession
) -> None:
    made = await split(client, ann["email"], ann["email"])
    await undo(client, "splits", made["id"])
    rows = await session.execute(
        text("SELECT action FROM audit WHERE subject = :split ORDER BY id"), {"split": made["id"]}
    )
    assert list(rows.scalars()) == ["split.created", "split.undone"]
