"""Lists: named by customer or identifier, followed through merges and splits, filled from files."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import Assignment, CustomerErased, IdentifiersAssigned
from perennial.common.contracts.profile import CustomerTags, TagsChanged
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.privacy import worker as privacy
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import tracked

Do = Callable[..., Awaitable[None]]
KEY = bytes.fromhex("11" * 32)  # as the settings of tests have it
ANY = {"If-Match": "*"}


async def make(client: httpx.AsyncClient, name: str = "VIP 名单") -> str:
    answer = await client.post("/v1/segments", json={"name": name, "kind": "list"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["state"], answer.json()["rule"], answer.json()["sentence"]) == ("live", None, None)
    return str(answer.json()["id"])


async def name(client: httpx.AsyncClient, segment: str, *members: object, remove: bool = False) -> list[str]:
    path = f"/v1/segments/{segment}/members" + ("/remove" if remove else "")
    answer = await client.post(path, json={"members": [str(member) for member in members]})
    assert answer.status_code == 200, answer.text
    return [item["outcome"] for item in answer.json()["items"]]


async def members(client: httpx.AsyncClient, segment: str) -> set[str]:
    listed = (await client.get(f"/v1/segments/{segment}/members")).json()["items"]
    return {item["customer_id"] for item in listed}


def known(kind: str, value: str, via: UUID, customer: UUID, version: int = 1) -> IdentifiersAssigned:
    digest = blind_index(KEY, kind, value).hex()
    return IdentifiersAssigned(
        assignments=[Assignment(via=via, customer=customer, version=version, kind=kind, digest=digest)]
    )


async def test_people_are_named_by_customer_or_identifier_and_each_is_answered(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    one, other = tracked("Seen"), tracked("Seen")
    await hear(one, other, known("email", "anna@example.com", other.via, other.via))
    segment = await make(client)
    told = await name(
        client, segment, one.via, "email: Anna@Example.com ", one.via, uuid4(), "email:b@example.com", "anna", "phone:x"
    )
    assert told == ["added", "added", "already", "unknown", "unknown", "invalid", "invalid"]
    await settle()
    assert await members(client, segment) == {str(one.via), str(other.via)}
    assert (await client.get(f"/v1/segments/{segment}")).json()["size"] == 2
    async with runtime.database.read() as session:
        subjects = (await session.execute(text("SELECT subject FROM outbox"))).scalars().all()
    assert subjects.count("segments.membership.entered.v1") == 2
    assert await name(client, segment, "email:anna@example.com", uuid4(), remove=True) == ["removed", "unknown"]
    assert await name(client, segment, other.via, remove=True) == ["not_listed"]
    await settle()
    assert await members(client, segment) == {str(one.via)}


async def test_who_is_on_a_list_stays_on_it_through_a_merge_and_its_undo(
    client: httpx.AsyncClient, hear: Do, assign: Do, settle: Do
) -> None:
    one, other = tracked("Seen"), tracked("Seen")
    segment = await make(client)
    await hear(one, other)
    await name(client, segment, other.via)
    await settle()
    for customer, version, expected in ((one.via, 2, one.via), (other.via, 3, other.via)):
        await assign(other.via, customer, version=version)
        assert await members(client, segment) == {str(expected)}
    await assign(other.via, one.via, version=4)
    assert await name(client, segment, other.via) == ["already"], "an old id means the customer of today"
    assert await name(client, segment, one.via, remove=True) == ["removed"]
    await assign(other.via, other.via, version=5)
    assert await members(client, segment) == set(), "taken off by all identifiers"


async def test_a_list_in_a_rule_and_its_explanation(client: httpx.AsyncClient, hear: Do, settle: Do) -> None:
    who = tracked("Seen")
    segment = await make(client)
    body = {"name": "on it", "rule": {"all": [{"segment": segment}, {"event": "Seen"}]}}
    asking = (await client.post("/v1/segments", json=body)).json()["id"]
    await settle()
    await hear(who)
    assert await members(client, asking) == set()
    await name(client, segment, who.via)
    await settle()
    assert await members(client, asking) == {str(who.via)}
    path = f"/v1/segments/{segment}/members/{who.via}/explain"
    told = (await client.get(path)).json()
    assert (told["member"], told["reason"]["holds"]) == (True, True)
    assert told["reason"]["evidence"][0]["by"].endswith("tester")
    assert (await client.delete(f"/v1/segments/{segment}", headers=ANY)).status_code == 409
    await client.delete(f"/v1/segments/{asking}", headers=ANY)
    assert (await client.delete(f"/v1/segments/{segment}", headers=ANY)).status_code == 204


@pytest.mark.parametrize(
    ("call", "status", "code"),
    [
        (("POST", "/members", {"members": ["x"]}), 409, "not_a_list"),
        (("POST", "/members/remove", {"members": ["x"]}), 409, "not_a_list"),
        (("POST", "/members", {"members": []}), 422, "invalid_request"),
        (("POST", "/members", {"members": ["x" * 401]}), 422, "invalid_request"),
    ],
    ids=str,
)
async def test_a_segment_by_rule_has_no_named_members(
    client: httpx.AsyncClient, call: tuple[str, str, dict[str, Any]], status: int, code: str
) -> None:
    made = (await client.post("/v1/segments", json={"name": "x", "rule": {"everyone": True}})).json()
    method, path, body = call
    refused = await client.request(method, f"/v1/segments/{made['id']}{path}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_a_list_has_neither_rule_nor_draft(client: httpx.AsyncClient) -> None:
    segment = await make(client)
    for body, pointer in (({"rule": {"everyone": True}}, "/rule"), ({"draft": True}, "/draft")):
        refused = await client.patch(f"/v1/segments/{segment}", json=body, headers=ANY)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
        refused = await client.post("/v1/segments", json={"name": "another", "kind": "list", **body})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)
    renamed = await client.patch(f"/v1/segments/{segment}", json={"name": "renamed"}, headers=ANY)
    assert (renamed.json()["state"], renamed.json()["serving_version"]) == ("live", 2)
    restored = await client.post(f"/v1/segments/{segment}/versions/1/restore", headers=ANY)
    assert restored.status_code == 409
    assert (await client.post(f"/v1/segments/{segment}/publish", headers=ANY)).status_code == 409


async def send(client: httpx.AsyncClient, segment: str, content: str | bytes, **params: Any) -> dict[str, Any]:
    data = content.encode() if isinstance(content, str) else content
    answer = await client.post(
        f"/v1/segments/{segment}/imports", content=data, headers={"Content-Type": "text/csv"}, params=params
    )
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def outcome(client: httpx.AsyncClient, operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/v1/operations/segments/{operation['id']}")).json()
    return found


async def test_a_file_fills_a_list_and_says_which_lines_mean_nobody(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    one, other, third = tracked("Seen"), tracked("Seen"), tracked("Seen")
    await hear(one, other, third, known("email", "anna@example.com", other.via, other.via))
    await hear(known("user_id", "U-7", third.via, third.via))
    segment = await make(client)
    lines = [
        "\ufeffcustomer_id,Email,user_id",
        f"{one.via},,",
        ",anna@example.com,",
        ",,U-7",
        ",,U-8",
        "nobody,,",
        ",,",
    ]
    started = await send(client, segment, "\r\n".join(lines))
    await settle()
    done = await outcome(client, started)
    assert done["result"] == {"lines": 6, "added": 3, "already": 0, "unknown": 1, "invalid": 2}
    assert await members(client, segment) == {str(each.via) for each in (one, other, third)}
    errors = await client.get(f"/v1/operations/segments/{started['id']}/files/errors.csv")
    assert errors.text.split() == ["line,reason", "5,unknown", "6,invalid", "7,invalid"]
    async with runtime.database.read() as session:
        subjects = (await session.execute(text("SELECT subject FROM outbox"))).scalars().all()
    assert "segments.membership.entered.v1" not in subjects, "an import is not heard by journeys"
    again = await send(client, segment, "identifier\nuser_id:U-7\n", live=True)
    await settle()
    assert (await outcome(client, again))["result"]["already"] == 1


async def test_a_long_file_is_read_in_steps(
    client: httpx.AsyncClient, hear: Do, settle: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perennial.segments.lists import importing  # noqa: PLC0415 (its step is made small)

    monkeypatch.setattr(importing, "AT_ONCE", 100)
    people = [tracked("Seen") for _ in range(9)]
    await hear(*people)
    segment = await make(client)
    started = await send(client, segment, "customer_id\n" + "".join(f"{one.via}\n" for one in people))
    await settle()
    assert (await outcome(client, started))["result"]["added"] == 9
    assert len(await members(client, segment)) == 9


@pytest.mark.parametrize(
    "content",
    [b"name\nx\n", b"", b"\xff\xfe\x00", b"customer_id\n" + b"x" * 70_000],
    ids=["no column", "empty", "not utf-8", "one long line"],
)
async def test_a_file_that_cannot_be_read(client: httpx.AsyncClient, settle: Do, content: bytes) -> None:
    segment = await make(client)
    started = await send(client, segment, content)
    await settle()
    done = await outcome(client, started)
    assert (done["state"], done["error"]["code"]) == ("failed", "invalid_file")


async def test_what_is_no_file_is_refused(client: httpx.AsyncClient) -> None:
    segment = await make(client)
    path = f"/v1/segments/{segment}/imports"
    assert (await client.post(path, json={"members": []})).status_code == 415
    large = await client.post(path, content=b"x" * (1 << 20) + b"y", headers={"Content-Type": "text/csv"})
    assert large.status_code == 413
    by_rule = (await client.post("/v1/segments", json={"name": "x", "rule": {"everyone": True}})).json()
    refused = await client.post(
        f"/v1/segments/{by_rule['id']}/imports", content=b"x", headers={"Content-Type": "text/csv"}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "not_a_list")
    await client.delete(f"/v1/segments/{segment}", headers=ANY)
    refused = await client.post(path, content=b"x", headers={"Content-Type": "text/csv"})
    assert (refused.status_code, refused.json()["code"]) == (409, "archived")


async def test_who_is_erased_is_in_no_list_no_segment_and_no_history(
    client: httpx.AsyncClient, hear: Do, settle: Do, runtime: ServiceRuntime
) -> None:
    one, other = tracked("Seen"), tracked("Seen")
    segment = await make(client)
    seen = (await client.post("/v1/segments", json={"name": "seen", "rule": {"event": "Seen"}})).json()["id"]
    await settle()
    await hear(one, other)
    await name(client, segment, one.via, other.via)
    await settle()
    tags = [CustomerTags(customer=who.via, version=1, tags=["vip"]) for who in (one, other)]
    await hear(TagsChanged(customers=tags))
    await hear(CustomerErased(erasure_id=uuid7(), customer=one.via, vias=[one.via], at=utc_now()))
    await privacy.run_all(runtime)
    await settle()
    for each in (segment, seen):
        assert await members(client, each) == {str(other.via)}
    async with runtime.database.read() as session:
        for table, column in (
            ("membership_change", "customer_id"),
            ("list_member", "via"),
            ("derived_trait", "customer_id"),
        ):
            left = await session.execute(text(f"SELECT DISTINCT {column} FROM {table}"))
            assert set(left.scalars()) == {other.via}, table
    assert await name(client, segment, one.via) == ["unknown"]
