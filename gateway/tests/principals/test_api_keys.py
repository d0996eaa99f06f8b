"""API keys over HTTP: issued once, kept as digests, revoked at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.principals.keys import queries
from perennial.gateway.principals.texts import digest
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import API_KEY, started


async def issue(admin: httpx.AsyncClient, *scopes: str, **changes: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/api-keys", json={"name": "Partner", "scopes": scopes, **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


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


async def test_revoking_works_at_once(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    made = await issue(admin, "sources:read")
    assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    answer = await http.get("/v1/sources", headers=bearer(made["key"]))
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert (await admin.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    async with live_runtime.database.read() as session:
        rows = await session.execute(
            text("SELECT principal, action FROM audit WHERE subject = :subject ORDER BY id"),
            {"subject": f"api_key/{made['id']}"},
        )
        assert [tuple(row) for row in rows] == [
            ("api_key:development", "api_key.issued"),
            ("api_key:development", "api_key.revoked"),
        ]


async def test_expiry(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    made = await issue(admin, "*", expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert (await http.get("/v1/sources", headers=bearer(made["key"]))).status_code == 200
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE api_key SET expires_at = now() WHERE name = 'Partner'"))
    await edge.access.refresh()
    answer = await http.get("/v1/sources", headers=bearer(made["key"]))
    assert (answer.status_code, answer.json()["code"]) == (401, "key_expired")


async def test_last_use_is_noted_to_the_minute(
    admin: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    await admin.get("/v1/sources")
    await edge.access.principals.flush()
    found = (await admin.get("/v1/api-keys/development")).json()
    at = datetime.fromisoformat(found["last_used_at"])
    assert (at.second, at.microsecond) == (0, 0)
    assert datetime.now(UTC) - at < timedelta(minutes=2)


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


async def rotate(client: httpx.AsyncClient, key_id: str, until: timedelta | None) -> httpx.Response:
    body = {} if until is None else {"previous_until": (datetime.now(UTC) + until).isoformat()}
    return await client.post(f"/v1/api-keys/{key_id}/rotate", json=body)


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


async def test_a_rate_limit_of_its_own(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = await issue(admin, "sources:read", "keys:write", rate_limit=4)
    answers = [await http.get("/v1/sources", headers=bearer(made["key"])) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    body = {"name": "x", "scopes": ["keys:write"]}
    other = await issue(admin, "keys:write", rate_limit=50)
    for limit, status in ((50, 201), (51, 403), (None, 403)):
        answer = await http.post("/v1/api-keys", headers=bearer(other["key"]), json={**body, "rate_limit": limit})
        assert answer.status_code == status, limit


async def test_every_process_knows_a_key_at_once(
    admin: httpx.AsyncClient, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    async with started(live_runtime, gateway_settings) as other:
        memory = other.state.edge.access
        made = await issue(admin, "sources:read")
        memory.principals.keys.pop(digest(made["key"]), None)  # as if the notification were late
        transport = httpx.ASGITransport(other)
        async with httpx.AsyncClient(transport=transport, base_url="http://other.test") as http:
            assert (await http.get("/v1/sources", headers=bearer(made["key"]))).status_code == 200


async def test_a_flood_of_garbage_is_no_flood_of_queries(http: httpx.AsyncClient, edge: Edge) -> None:
    asked: list[int] = []
    memory = edge.access.principals
    ask = memory._texts._ask

    async def counting(digests: Any) -> set[bytes]:
        asked.append(len(digests))
        return await ask(digests)

    memory._texts._ask = counting
    keys = [f"psk_{n:012d}_{'x' * 43}" for n in range(200)]
    answers = await asyncio.gather(*(http.get("/v1/sources", headers=bearer(key)) for key in keys * 2))
    assert {answer.status_code for answer in answers} == {401}
    assert len(asked) <= 10
    assert sum(asked) == 200
    await asyncio.gather(*(http.get("/v1/sources", headers=bearer(key)) for key in keys))
    await http.get("/v1/sources", headers=bearer("psk_of_another_shape"))
    assert sum(asked) == 200, "what was not there a moment ago is not asked for again"


async def test_a_slow_look_brings_no_revoked_key_back(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await issue(admin, "sources:read")
    memory = edge.access.principals
    memory.keys.pop(digest(made["key"]))
    read, go_on = asyncio.Event(), asyncio.Event()
    look = queries.live_among

    async def slowly(*arguments: Any) -> Any:
        found = await look(*arguments)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(queries, "live_among", slowly)
    asking = asyncio.create_task(http.get("/v1/sources", headers=bearer(made["key"])))
    await read.wait()
    revoking = asyncio.create_task(admin.delete(f"/v1/api-keys/{made['id']}"))
    await asyncio.sleep(0.2)
    go_on.set()
    assert (await revoking).status_code == 204
    await asking
    assert digest(made["key"]) not in memory.keys
    assert (await http.get("/v1/sources", headers=bearer(made["key"]))).status_code == 401


async def test_customer_tokens_die_with_their_key(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    async def mint(key: dict[str, Any], ttl: int = 3600) -> dict[str, Any]:
        body = {"customer_id": str(uuid4()), "ttl_seconds": ttl}
        answer = await http.post("/v1/customer-tokens", json=body, headers=bearer(key["key"]))
        found: dict[str, Any] = answer.json()
        return found

    async def code(token: dict[str, Any]) -> str:
        return str((await http.get("/v1/me", headers=bearer(token["token"]))).json()["code"])

    revoked = await issue(admin, "tokens:mint", "customers:reveal")
    token = await mint(revoked)
    assert await code(token) == "service_unavailable", "it was let through"
    await rotate(admin, revoked["id"], None)
    assert await code(token) == "service_unavailable", "a rotation ends no token"
    await admin.delete(f"/v1/api-keys/{revoked['id']}")
    assert await code(token) == "token_revoked"
    ends = datetime.now(UTC) + timedelta(minutes=10)
    short = await issue(admin, "tokens:mint", "customers:reveal", expires_at=ends.isoformat())
    token = await mint(short)
    assert datetime.fromisoformat(token["expires_at"]) <= ends
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE api_key SET expires_at = now() WHERE id = :id"), {"id": short["id"]})
    await edge.access.refresh()
    assert await code(token) == "token_revoked"


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
