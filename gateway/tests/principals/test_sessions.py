"""Signing in and out, and what a session is good for."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.principals.testing import GOOD, bearer, hire, problem, sign_in
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started


async def rows(runtime: ServiceRuntime, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with runtime.database.read() as session:
        return [tuple(row) for row in await session.execute(text(statement), values)]


async def test_a_session(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    opened = await http.post(
        "/v1/staff/sessions",
        json={"email": " Ann@Example.COM ", "password": GOOD},
        headers={"User-Agent": "console/1"},
    )
    assert opened.status_code == 201
    assert opened.headers["cache-control"] == "no-store"
    headers = bearer(opened.json()["token"])
    assert opened.json()["token"].startswith(f"pss_{opened.json()['id']}_")
    me = (await http.get("/v1/staff/me", headers=headers)).json()
    assert (me["id"], me["email"], me["roles"], me["fields"]) == (ann.id, "ann@example.com", ["agent"], ["personal"])
    assert "tickets:write" in me["scopes"]
    listed = (await http.get("/v1/staff/sessions", headers=headers)).json()["items"]
    assert (listed[0]["current"], listed[0]["user_agent"]) == (True, "console/1")
    assert "token" not in listed[0]
    assert len(listed) == 2
    ended = await http.delete("/v1/staff/sessions/current", headers=headers)
    assert ended.status_code == 204
    assert problem(await http.get("/v1/staff/me", headers=headers)) == (401, "session_over")
    other = listed[1]["id"]
    assert (await http.delete(f"/v1/staff/sessions/{other}", headers=ann.headers)).status_code == 204
    assert problem(await http.get("/v1/staff/me", headers=ann.headers)) == (401, "session_over")


async def test_nobody_ends_the_session_of_another(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    ann, bob = await hire(admin, "agent", "ann@example.com"), await hire(admin, "owner", "bob@example.com")
    theirs = (await http.get("/v1/staff/sessions", headers=ann.headers)).json()["items"][0]["id"]
    assert problem(await http.delete(f"/v1/staff/sessions/{theirs}", headers=bob.headers)) == (404, "not_found")
    assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200


async def test_what_a_role_may_do(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    dev = await hire(admin, "developer", "dev@example.com")
    assert (await http.get("/v1/sources", headers=dev.headers)).status_code == 200
    assert problem(await http.get("/v1/staff/accounts", headers=dev.headers)) == (403, "insufficient_scope")
    assert problem(await http.get("/v1/me", headers=dev.headers)) == (403, "customer_token_required")


async def test_the_token_and_the_password_are_nowhere(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    token = ann.headers["Authorization"].removeprefix("Bearer ")
    await sign_in(http, ann.email, "a wrong grey harbour")
    for table in ("staff_account", "staff_session", "staff_attempt", "audit", "idempotency", "outbox"):
        for (row,) in await rows(live_runtime, f"SELECT t::text FROM {table} t"):
            assert token.split("_", 2)[2] not in row
            assert "harbour" not in row
    ((hashed,),) = await rows(live_runtime, "SELECT password FROM staff_account")
    assert hashed.startswith("$argon2id$")


async def test_the_first_password_must_be_changed(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    made = (
        await admin.post("/v1/staff/accounts", json={"email": "ann@example.com", "name": "Ann", "role": "owner"})
    ).json()
    opened = (await sign_in(http, "ann@example.com", made["one_time_password"])).json()
    assert opened["must_change_password"] is True
    headers = bearer(opened["token"])
    assert (await http.get("/v1/staff/me", headers=headers)).json()["scopes"] == []
    for path in ("/v1/sources", "/v1/staff/accounts", "/v1/staff/sessions"):
        assert problem(await http.get(path, headers=headers)) == (403, "password_change_required")
    assert (await http.get("/v1/segments", headers=headers)).status_code == 403
    change = {"current_password": made["one_time_password"], "new_password": GOOD}
    changed = await http.put("/v1/staff/me/password", json=change, headers=headers)
    assert (changed.status_code, changed.json()["must_change_password"]) == (200, False)
    assert problem(await http.get("/v1/staff/me", headers=headers)) == (401, "session_over")
    assert (await http.get("/v1/sources", headers=bearer(changed.json()["token"]))).status_code == 200
    assert (await sign_in(http, "ann@example.com", made["one_time_password"])).status_code == 401


async def test_a_first_password_is_good_for_a_week(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    made = (
        await admin.post("/v1/staff/accounts", json={"email": "ann@example.com", "name": "Ann", "role": "owner"})
    ).json()
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE staff_account SET password_set_at = now() - interval '8 days'"))
    answer = await sign_in(http, "ann@example.com", made["one_time_password"])
    assert problem(answer) == (401, "invalid_credentials")


WEAK = [
    "short",
    "elevenchars",
    "x" * 129,
    "passwordpassword",
    "PASSWORDPASSWORD",
    "aaaaaaaaaaaaaaaa",
    "abababababababab",
    "i am ann.lee@example.com",
    "my name is Ann.Lee",
    "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
]


@pytest.mark.parametrize("password", WEAK)
async def test_weak_passwords(admin: httpx.AsyncClient, http: httpx.AsyncClient, password: str) -> None:
    ann = await hire(admin, "agent", "ann.lee@example.com")
    change = {"current_password": GOOD, "new_password": password}
    answer = await http.put("/v1/staff/me/password", json=change, headers=ann.headers)
    assert problem(answer) == (422, "weak_password")
    assert "new_password" in answer.json()["message"]


async def test_a_password_in_another_spelling_is_the_same(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    await hire(admin, "agent", "ann@example.com", "caf\u00e9 au lait ①23")
    assert (await sign_in(http, "ann@example.com", "cafe\u0301 au lait 123")).status_code == 201


async def test_changing_needs_the_present_password_and_another_one(
    admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    for current, new, code in (
        ("not my password", "a loud red harbour", "wrong_password"),
        (GOOD, GOOD, "weak_password"),
    ):
        change = {"current_password": current, "new_password": new}
        assert problem(await http.put("/v1/staff/me/password", json=change, headers=ann.headers)) == (422, code)
    assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200


async def test_guessing_the_present_password_locks_too(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    change = {"current_password": "not my password", "new_password": "a loud red harbour"}
    for _ in range(5):
        await http.put("/v1/staff/me/password", json=change, headers=ann.headers)
    answer = await http.put("/v1/staff/me/password", json={**change, "current_password": GOOD}, headers=ann.headers)
    assert problem(answer) == (422, "wrong_password")


async def test_absolute_and_idle_time_outs(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    memory = edge.access.principals
    for column, value in (("expires_at", "now()"), ("last_seen_at", "now() - interval '61 minutes'")):
        opened = (await sign_in(http, ann.email, GOOD)).json()
        headers = bearer(opened["token"])
        assert (await http.get("/v1/staff/me", headers=headers)).status_code == 200
        async with live_runtime.database.write() as session:
            await session.execute(text(f"UPDATE staff_session SET {column} = {value} WHERE id = '{opened['id']}'"))
        memory.used_sessions.clear()
        await edge.access.refresh()
        assert problem(await http.get("/v1/staff/me", headers=headers)) == (401, "session_over"), column


async def test_a_session_that_another_process_saw_is_not_idle(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    await http.get("/v1/staff/me", headers=ann.headers)
    memory = edge.access.principals
    for digest, known in memory.sessions.items():
        memory.sessions[digest] = type(known)(
            known.id, known.account_id, known.role, known.must_change, known.last_seen_at - timedelta(hours=2),
            known.expires_at,
        )  # fmt: skip
    assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200


async def test_use_is_written_down(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, live_runtime: ServiceRuntime
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE staff_session SET last_seen_at = now() - interval '30 minutes'"))
    await edge.access.refresh()
    assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200
    await edge.access.principals.flush()
    ((recent,),) = await rows(
        live_runtime,
        "SELECT max(last_seen_at) > now() - interval '1 minute' FROM staff_session WHERE revoked_at IS NULL",
    )
    assert recent


async def test_every_process_knows_a_session_at_once(
    admin: httpx.AsyncClient, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    async with started(live_runtime, gateway_settings) as other:
        transport = httpx.ASGITransport(other, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://other.test") as http:
            ann = await hire(admin, "agent", "ann@example.com")
            assert (await http.get("/v1/staff/me", headers=ann.headers)).status_code == 200


async def test_signing_in_is_limited_by_address(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    few = gateway_settings.model_copy(update={"logins_per_address": 3})
    async with started(live_runtime, few) as app:
        for address, expected in (("192.0.2.1", [401, 401, 401, 429]), ("192.0.2.2", [401])):
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
                answers = [await sign_in(http, f"x{n}@example.com", "whatever it is") for n in range(len(expected))]
                assert [answer.status_code for answer in answers] == expected
                if answers[-1].status_code == 429:
                    assert int(answers[-1].headers["retry-after"]) > 0


async def test_too_many_hashes_at_once_are_told_to_come_again(
    http: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.gateway.principals.accounts.passwords.MOST_WAITING", 2)
    answers = await asyncio.gather(*(sign_in(http, f"x{n}@example.com", "whatever it is") for n in range(6)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 401
    assert statuses[-1] == 503
    assert all(answer.headers.get("retry-after") for answer in answers if answer.status_code == 503)


BAD = [
    ({}, "email"),
    ({"email": "a@example.com"}, "password"),
    ({"email": "", "password": "x"}, "email"),
    ({"email": "a@example.com", "password": ""}, "password"),
    ({"email": "a@example.com", "password": "x" * 1001}, "password"),
    ({"email": 1, "password": "x"}, "email"),
    ({"email": "a@example.com", "password": "x", "otp": "1"}, "otp"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_names_the_field(http: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await http.post("/v1/staff/sessions", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["message"]


@pytest.mark.parametrize("email", ["nobody", "a\nb@example.com", "x@", "@", "'; --", "😀@example.com"])
async def test_odd_addresses_are_nobodys(http: httpx.AsyncClient, email: str) -> None:
    assert problem(await sign_in(http, email, "whatever it is")) == (401, "invalid_credentials")


async def test_without_a_session(gateway: FastAPI, http: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    shape = "pss_" + "a" * 12 + "_" + "b" * 43
    for token in ("pss_x", shape, shape + "x", "pss_"):
        assert problem(await http.get("/v1/staff/me", headers=bearer(token))) == (401, "session_over")
    assert problem(await admin.get("/v1/staff/me")) == (403, "staff_required")
