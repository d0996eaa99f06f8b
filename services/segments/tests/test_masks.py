"""Who sees what of rules and of the reasons behind them, by every way out of segments."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common import derive, identity_map
from perennial.common.contracts.profile import TraitDefinition, TraitsDefined
from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.exposure import CONTEXT, PHONE, PROPERTIES, SECRETS, TRAITS, exposed, read_all
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.facts import service as facts
from perennial.segments.facts.worker import keep_definitions
from perennial.segments.main import SERVICE
from perennial.segments.rfm.runs import service as rfm
from perennial.segments.rfm.runs.computing import compute_next

NOW = datetime.now(UTC)
EMAIL = TRAITS["email"]
BUYERS = {
    "any": [{"event": "Order Completed"}, {"trait": "email", "exists": True}, {"trait": "address", "exists": True}]
}
SECRET = {
    "all": [
        {"any": [{"trait": "email", "ends_with": "quillfeather@post.example"}, {"trait": "email", "exists": False}]},
        {"trait": "Pet Of Youth", "in": ["Wolpertinger", "Dog"]},
        {"trait": "birthday", "before": "1987-06-06"},
        {"event": "Order Completed", "where": [{"property": "shippingAddress.street", "contains": "Larkspur"}]},
    ]
}
GUESSED = "/rule/all/3/where/0/contains"
CHECKED = ["/rule/all/0/any/0/trait", "/rule/all/1/trait", "/rule/all/2/trait", "/rule/all/3/where/0/property"]


@pytest.fixture(autouse=True)
async def known(database: BoundDatabase) -> None:
    """The traits that rules of these tests ask."""
    types = {"email": "string", "pet of youth": "string", "birthday": "date", "address": "object", "phone": "string"}
    defined = [TraitDefinition(key=key, type=kind, version=1) for key, kind in types.items()]
    async with database.write() as session:
        await keep_definitions(session, [TraitsDefined(traits=defined)])


@pytest.fixture
async def person(database: BoundDatabase) -> UUID:
    """A customer who was identified and has bought."""
    said = identified(TRAITS, at=NOW - timedelta(days=1))
    bought = tracked("Order Completed", {**PROPERTIES, "revenue": 12}, via=said.via, at=NOW - timedelta(hours=1))
    told = {**msgspec.json.decode(bought.body), "context": CONTEXT, "userId": EMAIL}
    events = [said, msgspec.structs.replace(bought, body=msgspec.Raw(msgspec.json.encode(told)))]
    async with database.write() as session:
        changes = await identity_map.learn(session, events)
        await facts.follow_map(session, changes)
        await facts.record(session, events)
        await rfm.want(session, "asked")
    await compute_next(database)
    await compute(database)
    return said.via


async def compute(database: BoundDatabase) -> None:
    assert SERVICE.derive is not None
    runtime = ServiceRuntime(SERVICE, database.info["settings"], database, nats=None)  # type: ignore[arg-type]
    while await operations.step_once(runtime):
        pass
    async with database.write() as session:
        await session.execute(text("UPDATE stale SET at = now()"))
        while await derive.derive_once(session, SERVICE.derive):
            pass


@pytest.fixture
def bearer(token: Callable[..., str]) -> Callable[..., dict[str, str]]:
    """`bearer("personal")`: the headers of a principal with every scope and these fields."""

    def made(*fields: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token('*', fields=fields)}"}

    return made


async def define(client: httpx.AsyncClient, rule: dict[str, Any], name: str) -> dict[str, Any]:
    made = await client.post("/v1/segments", json={"name": name, "rule": rule})
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    return body


async def test_no_get_route_shows_a_secret_to_who_sees_no_fields(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], person: UUID, database: BoundDatabase
) -> None:
    open_, secret = await define(client, BUYERS, "buyers"), await define(client, SECRET, "secret")
    put = {"name": "secrets", "rule": {"all": [*SECRET["all"], {"trait": "phone", "is": PHONE}]}}
    path = f"/v1/segments/{secret['id']}"
    assert (await client.put(path, json=put, headers={"If-Match": '"1"'})).status_code == 200
    await compute(database)
    async with database.write() as session:
        said = f'invalid input syntax for type numeric: "{EMAIL}"\nCONTEXT: {PHONE}'
        await session.execute(text("UPDATE segment SET error = :said"), {"said": said})
    run = (await client.get("/v1/rfm/runs")).json()["items"][0]["id"]
    for segment in (open_, secret):
        places = {"segment_id": segment["id"], "customer_id": person}
        places |= {"operation_id": segment["operation_id"], "name": "none", "run_id": run}
        for limit in ("limit=1", "limit=50"):
            answers = await read_all(app, client, token("*", fields=()), places, limit)
            refused = {path for path, answer in answers.items() if answer.status_code != 200 and "/files/" not in path}
            assert {path.split("?")[0] for path in refused} == (
                {f"{path}/members/{person}/explain"} if segment is secret else set()
            )
            assert list(exposed(answers, SECRETS)) == []
    clear = await read_all(app, client, token("*", fields=("*",)), places)
    assert {found for _, found in exposed(clear, SECRETS)} >= {"uillfeather", "olpertinger", "1987", "arkspur"}


async def test_the_explanation_shows_what_was_seen_as_it_may_be_seen(
    client: httpx.AsyncClient, person: UUID, database: BoundDatabase, bearer: Callable[..., dict[str, str]]
) -> None:
    segment = await define(client, BUYERS, "buyers")
    await compute(database)
    for fields, email, street in (
        ((), "z****@post.example", "****"),
        (("personal",), "z****@post.example", "17 Larkspur Crescent"),
        (("email",), EMAIL, "****"),
        (("*",), EMAIL, "17 Larkspur Crescent"),
    ):
        path = f"/v1/segments/{segment['id']}/members/{person}/explain"
        answer = await client.get(path, headers=bearer(*fields))
        assert answer.status_code == 200, answer.text
        order, known, home = answer.json()["reason"]["parts"]
        assert (order["value"], known["value"], home["value"]["street"]) == (1, email, street)
        [evidence] = order["evidence"]
        assert (evidence["properties"]["email"], evidence["properties"]["total"]) == (email, 12)
        assert evidence["properties"]["shippingAddress"]["street"] == street


async def test_a_rule_over_hidden_fields_is_refused_wherever_it_comes_in(
    client: httpx.AsyncClient, person: UUID, bearer: Callable[..., dict[str, str]]
) -> None:
    shown = await define(client, SECRET, "secret")
    plain = await define(client, BUYERS, "buyers")
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/v1/segments", {"name": "mine", "rule": SECRET}),
        ("POST", "/v1/segments/preview", {"rule": SECRET}),
        ("PUT", f"/v1/segments/{plain['id']}", {"name": "mine", "rule": SECRET}),
        ("PATCH", f"/v1/segments/{plain['id']}", {"rule": SECRET}),
        ("GET", f"/v1/segments/{shown['id']}/members/{person}/explain", None),
    ]
    for method, path, body in calls:
        headers = {**bearer(), "If-Match": '"1"'}
        answer = await client.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "field_masked"), (method, path, answer.text)
        assert [error["pointer"] for error in answer.json()["errors"]] == CHECKED
        for secret in ("quillfeather", "Wolper", "1987", "Larkspur"):
            assert secret not in answer.text
        personal = await client.request(method, path, json=body, headers={**headers, **bearer("personal")})
        assert [error["pointer"] for error in personal.json()["errors"]] == [CHECKED[0], GUESSED]
    for fields in (("personal", "email", "phone"), ("*",)):
        answer = await client.post("/v1/segments/preview", json={"rule": SECRET}, headers=bearer(*fields))
        assert answer.status_code == 200
        assert answer.json()["sample"] == [str(person)]


async def test_a_hidden_rule_is_shown_without_what_it_compares_and_keeps_its_own(
    client: httpx.AsyncClient, bearer: Callable[..., dict[str, str]]
) -> None:
    made = await define(client, SECRET, "secret")
    assert made["rule"] == SECRET
    path = f"/v1/segments/{made['id']}"
    blind = (await client.get(path, headers=bearer())).json()
    assert blind["rule"]["all"][1] == {"trait": "Pet Of Youth", "in": ["****"]}
    assert "birthday is before ****" in blind["sentence"]
    renamed = await client.patch(path, json={"name": "renamed"}, headers={**bearer(), "If-Match": '"1"'})
    assert renamed.status_code == 200, renamed.text
    assert renamed.json()["rule"] == blind["rule"]
    assert (await client.get(path)).json()["rule"] == SECRET
    masked = {"name": "renamed", "rule": blind["rule"]}
    refused = await client.put(path, json=masked, headers={**bearer(), "If-Match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_rule")  # **** is no date
    harmless = {"name": "renamed", "rule": {"any": blind["rule"]["all"][:2]}}
    refused = await client.put(path, json=harmless, headers={**bearer(), "If-Match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (403, "field_masked")
    assert (await client.get(path)).json()["rule"] == SECRET


async def test_a_preview_finds_no_phone_in_a_text_that_is_shown_without_it(
    client: httpx.AsyncClient, person: UUID, bearer: Callable[..., dict[str, str]]
) -> None:
    def asked(**operator: Any) -> dict[str, Any]:
        return {"rule": {"event": "Order Completed", "where": [{"property": "note", **operator}]}}

    for wanted in ({"contains": "1391"}, {"starts_with": "call 139"}, {"in": ["call 13912345678", "call 13812345678"]}):
        answer = await client.post("/v1/segments/preview", json=asked(**wanted), headers=bearer("personal"))
        assert (answer.status_code, answer.json()["code"]) == (403, "field_masked"), wanted
        assert answer.json()["errors"][0]["pointer"] == f"/rule/where/0/{next(iter(wanted))}"
        assert (await client.post("/v1/segments/preview", json=asked(**wanted))).status_code == 200
    exact = await client.post("/v1/segments/preview", json=asked(**{"is": "gift"}), headers=bearer())
    assert exact.status_code == 200
    made = await define(client, asked(contains="1391")["rule"], "seen by its author")
    seen = (await client.get(f"/v1/segments/{made['id']}", headers=bearer("personal"))).json()
    assert "1391" not in str(seen)
