"""Keys as processes hold them in memory: known and forgotten at once, and asked for only now and then."""

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
from perennial.gateway.principals.testing import bearer, issue, rotate
from perennial.gateway.principals.texts import digest
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started


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
