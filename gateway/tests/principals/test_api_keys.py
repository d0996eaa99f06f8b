"""API keys over HTTP: issued once, kept as digests, revoked at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.principals.testing import bearer, issue, rotate
from perennial.gateway.testing import API_KEY


async def test_the_text_is_shown_once_and_never_stored(admin: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    made = await issue(admin, "sources:read")
    assert made["key"].startswith(f"psk_{made['id']}_")
    shown = (await admin.get(f"/v1/api-keys/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "key"}
    secret = made["key"].split("_", 2)[2]
    async with live_runtime.database.read() as session:
        for table in ("api_key", "audit", "idempotency", "outbox"):
            rows = (await session.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all()
            assert not any(secret in row for row in rows)


async def test_scopes_are_kept_to(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = await issue(admin, "sources:read")
    assert (await http.get("/v1/sources", headers=bearer(made["key"]))).status_code == 200
    answer = await http.post("/v1/sources", headers=bearer(made["key"]), json={"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert "sources:write" in answer.json()["message"]


async def test_nobody_hands_out_more_than_he_holds(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = await issue(admin, "keys:write", "tickets:*")
    for scopes, status in (
        (["keys:write"], 201),
        (["tickets:read"], 201),
        (["tickets:*"], 201),
        (["*"], 403),
        (["keys:*"], 403),
        (["loyalty:read"], 403),
    ):
        answer = await http.post("/v1/api-keys", headers=bearer(made["key"]), json={"name": "x", "scopes": scopes})
        assert answer.status_code == status, scopes


async def test_a_key_cannot_issue_one_that_outlives_it(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    made = await issue(admin, "keys:write", expires_at=ends.isoformat())
    for expires_at, status in (
        (ends - timedelta(minutes=1), 201),
        (ends, 201),
        (ends + timedelta(seconds=1), 403),
        (None, 403),
    ):
        body = {"name": "x", "scopes": ["keys:write"], "expires_at": expires_at and expires_at.isoformat()}
        answer = await http.post("/v1/api-keys", headers=bearer(made["key"]), json=body)
        assert answer.status_code == status, expires_at
        if status == 403:
            assert answer.json()["code"] == "outlives_issuer"
            assert "expires_at" in answer.json()["message"]
    body = {"name": "x", "scopes": ["keys:write"]}
    assert (await http.post("/v1/api-keys", headers=bearer(made["key"]), json=body)).status_code == 403
    await issue(admin, "keys:write", expires_at="9999-12-31T23:59:59Z")


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer ", "Basic eDo=", "Bearer psk_x_y", f"Bearer {API_KEY}x", "Bearer a.b.c"]
)
async def test_strangers(http: httpx.AsyncClient, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    for path in ("/v1/sources", "/v1/api-keys"):
        answer = await http.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_the_log_of_audits_can_only_grow(live_runtime: ServiceRuntime, edge: Edge) -> None:
    for statement in ("UPDATE audit SET action = 'x'", "DELETE FROM audit"):
        with pytest.raises(Exception, match="permission denied"):
            async with live_runtime.database.write() as session:
                await session.execute(text(statement))


async def test_rotation(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    async def works(key: str) -> bool:
        return (await http.get("/v1/sources", headers=bearer(key))).status_code == 200

    made = await issue(admin, "sources:read")
    second = (await rotate(admin, made["id"], timedelta(days=7))).json()
    assert second["key"].startswith(f"psk_{made['id']}_")
    assert [await works(made["key"]), await works(second["key"])] == [True, True]
    third = (await rotate(admin, made["id"], timedelta(hours=1))).json()
    assert [await works(key["key"]) for key in (made, second, third)] == [False, True, True]
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE api_key SET previous_until = now() WHERE name = 'Partner'"))
    await edge.access.refresh()
    answer = await http.get("/v1/sources", headers=bearer(second["key"]))
    assert (answer.status_code, answer.json()["code"]) == (401, "key_expired")
    fourth = (await rotate(admin, made["id"], None)).json()
    assert [await works(key["key"]) for key in (third, fourth)] == [False, True]
    await admin.delete(f"/v1/api-keys/{made['id']}")
    assert not await works(fourth["key"])
    assert (await rotate(admin, made["id"], None)).json()["code"] == "key_over"


async def test_bad_rotations(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = await issue(admin, "tickets:read")
    for until in (timedelta(days=8), timedelta(seconds=-1)):
        answer = await rotate(admin, made["id"], until)
        assert answer.status_code == 422
        assert "previous_until" in answer.json()["message"]
    assert (await rotate(admin, "unknown", None)).status_code == 404
    assert (await rotate(admin, "development", None)).json()["code"] == "key_from_environment"
    small = await issue(admin, "keys:write")
    answer = await http.post(f"/v1/api-keys/{made['id']}/rotate", json={}, headers=bearer(small["key"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), "its text would be a promotion"


async def test_what_a_key_sees_in_clear(admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge) -> None:
    assert (await issue(admin, "customers:read"))["fields"] == []
    made = await issue(admin, "keys:write", fields=["personal", "email", "email"])
    assert made["fields"] == ["email", "personal"]
    shown = await edge.authenticator.shown(f"Bearer {made['key']}")
    assert shown.principal.fields == {"email", "personal"}
    assert (await edge.authenticator.shown(f"Bearer {API_KEY}")).principal.fields == {"*"}
    for fields, status in ((["email"], 201), (["birthday"], 201), (["phone"], 403), (["*"], 403), (["sensitive"], 403)):
        body = {"name": "x", "scopes": ["keys:write"], "fields": fields}
        answer = await http.post("/v1/api-keys", headers=bearer(made["key"]), json=body)
        assert answer.status_code == status, fields


BAD = [
    ({}, "name"),
    ({"name": "x"}, "scopes"),
    ({"name": "x", "scopes": []}, "scopes"),
    ({"name": "x", "scopes": ["read"]}, "scopes"),
    ({"name": "x", "scopes": ["a:b:c"]}, "scopes"),
    ({"name": "x", "scopes": ["tickets:fly"]}, "scopes"),
    ({"name": "x", "scopes": ["unicorns:*"]}, "scopes"),
    ({"name": "x", "scopes": ["*"], "fields": ["Email!"]}, "fields"),
    ({"name": "x", "scopes": ["*"], "fields": "*"}, "fields"),
    ({"name": "x", "scopes": ["*"], "rate_limit": 0}, "rate_limit"),
    ({"name": "x", "scopes": ["*"], "rate_limit": "many"}, "rate_limit"),
    ({"name": "x", "scopes": ["Tickets:read"]}, "scopes"),
    ({"name": "x", "scopes": "*"}, "scopes"),
    ({"name": "", "scopes": ["*"]}, "name"),
    ({"name": "x", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ({"name": "x", "scopes": ["*"], "expires_at": "2090-01-01T00:00:00"}, "expires_at"),
    ({"name": "x", "scopes": ["*"], "expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at"),
    ({"name": "x", "scopes": ["*"], "expires_at": "0001-01-01T00:00:00+10:00"}, "expires_at"),
    ({"name": "x", "scopes": ["*"], "id": "mine"}, "id"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_names_the_field(admin: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.post("/v1/api-keys", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["message"]
