"""Staff accounts: who may make whom what."""

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway import staff as command
from perennial.gateway.principals.testing import GOOD, bearer, hire, problem, sign_in
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started

ANY = {"If-Match": "*"}


async def test_accounts(admin: httpx.AsyncClient) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    shown = await admin.get(f"/v1/staff/accounts/{ann.id}")
    tag = shown.headers["etag"]
    assert "password" not in shown.json()
    assert shown.json()["must_change"] is False
    changed = await admin.patch(f"/v1/staff/accounts/{ann.id}", json={"name": "Ann Lee"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "Ann Lee")
    stale = await admin.patch(f"/v1/staff/accounts/{ann.id}", json={"name": "x"}, headers={"If-Match": tag})
    assert stale.status_code == 412
    assert (await admin.patch(f"/v1/staff/accounts/{ann.id}", json={"name": "x"})).status_code == 428
    again = await admin.post("/v1/staff/accounts", json={"email": "ANN@example.com", "name": "x", "role": "agent"})
    assert problem(again) == (409, "email_taken")
    listed = (await admin.get("/v1/staff/accounts?limit=1")).json()["items"]
    assert [item["email"] for item in listed] == ["ann@example.com"]
    assert (await admin.get("/v1/staff/accounts/nobody")).status_code == 404


async def test_a_new_role_a_reset_and_disabling_end_every_session(
    admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    path = f"/v1/staff/accounts/{ann.id}"
    for change in ({"role": "analyst"}, {"disabled": True}):
        headers = bearer((await sign_in(http, ann.email, GOOD)).json()["token"])
        assert (await http.get("/v1/staff/me", headers=headers)).status_code == 200
        assert (await admin.patch(path, json=change, headers=ANY)).status_code == 200
        assert problem(await http.get("/v1/staff/me", headers=headers)) == (401, "session_over")
    assert (await sign_in(http, ann.email, GOOD)).status_code == 401
    await admin.patch(path, json={"disabled": False}, headers=ANY)
    headers = bearer((await sign_in(http, ann.email, GOOD)).json()["token"])
    reset = await admin.post(f"{path}/reset-password")
    assert reset.headers["cache-control"] == "no-store"
    assert problem(await http.get("/v1/staff/me", headers=headers)) == (401, "session_over")
    assert (await sign_in(http, ann.email, GOOD)).status_code == 401
    opened = await sign_in(http, ann.email, reset.json()["one_time_password"])
    assert opened.json()["must_change_password"] is True


async def test_nobody_grants_what_he_lacks_or_acts_on_those_above(
    admin: httpx.AsyncClient, http: httpx.AsyncClient
) -> None:
    owner = await hire(admin, "owner", "owner@example.com")
    boss = await hire(admin, "admin", "admin@example.com")
    analyst = await hire(admin, "analyst", "analyst@example.com")

    async def add(role: str) -> httpx.Response:
        body = {"email": f"{role}2@example.com", "name": "x", "role": role}
        return await http.post("/v1/staff/accounts", json=body, headers=boss.headers)

    for role in ("marketer", "agent"):
        assert (await add(role)).status_code == 201
    assert problem(await add("owner")) == (403, "role_above_own")
    path = f"/v1/staff/accounts/{owner.id}"
    for answer in (
        await http.patch(path, json={"disabled": True}, headers=boss.headers | ANY),
        await http.patch(path, json={"role": "analyst"}, headers=boss.headers | ANY),
        await http.post(f"{path}/reset-password", headers=boss.headers),
        await http.post(f"{path}/unlock", headers=boss.headers),
        await http.patch(f"/v1/staff/accounts/{analyst.id}", json={"role": "owner"}, headers=boss.headers | ANY),
    ):
        assert problem(answer) == (403, "role_above_own")
    mine = f"/v1/staff/accounts/{boss.id}"
    answer = await http.patch(mine, json={"role": "owner"}, headers=boss.headers | ANY)
    assert problem(answer) == (403, "role_above_own")
    key = (await admin.post("/v1/api-keys", json={"name": "x", "scopes": ["staff:*"]})).json()["key"]
    body = {"email": "y@example.com", "name": "x", "role": "auditor"}
    assert problem(await http.post("/v1/staff/accounts", json=body, headers=bearer(key))) == (403, "role_above_own")


async def test_the_last_owner_stays(admin: httpx.AsyncClient) -> None:
    one = await hire(admin, "owner", "one@example.com")
    for change in ({"disabled": True}, {"role": "analyst"}, {"role": "analyst", "disabled": True}):
        answer = await admin.patch(f"/v1/staff/accounts/{one.id}", json=change, headers=ANY)
        assert problem(answer) == (409, "last_owner")
    two = await hire(admin, "owner", "two@example.com")
    await admin.patch(f"/v1/staff/accounts/{two.id}", json={"disabled": True}, headers=ANY)
    answer = await admin.patch(f"/v1/staff/accounts/{one.id}", json={"disabled": True}, headers=ANY)
    assert problem(answer) == (409, "last_owner"), "a disabled owner does not count"


async def test_two_owners_cannot_remove_each_other(admin: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    for round_ in range(5):
        owners = [await hire(admin, "owner", f"{name}{round_}@example.com") for name in ("one", "two")]
        async with live_runtime.database.write() as session:
            await session.execute(
                text("UPDATE staff_account SET disabled = (id <> ALL(:ids))"), {"ids": [owner.id for owner in owners]}
            )
        answers = await asyncio.gather(
            *(admin.patch(f"/v1/staff/accounts/{owner.id}", json={"role": "analyst"}, headers=ANY) for owner in owners)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_everything_is_on_the_record(admin: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    await admin.patch(f"/v1/staff/accounts/{ann.id}", json={"role": "analyst"}, headers=ANY)
    await admin.post(f"/v1/staff/accounts/{ann.id}/unlock")
    await admin.post(f"/v1/staff/accounts/{ann.id}/reset-password")
    async with live_runtime.database.read() as session:
        found = await session.execute(
            text("SELECT action, principal FROM audit WHERE subject = :subject ORDER BY id"),
            {"subject": f"staff/{ann.id}"},
        )
        by = "api_key:development"
        assert [tuple(row) for row in found] == [
            ("staff.added", by),
            ("staff.session_opened", f"staff:{ann.id}"),
            ("staff.password_changed", f"staff:{ann.id}"),
            ("staff.changed", by),
            ("staff.unlocked", by),
            ("staff.password_reset", by),
        ]


BAD = [
    ({}, "email"),
    ({"email": "x", "name": "x", "role": "agent"}, "email"),
    ({"email": "x@y", "name": "x", "role": "agent"}, "email"),
    ({"email": "a b@example.com", "name": "x", "role": "agent"}, "email"),
    ({"email": "a@example.com", "name": "", "role": "agent"}, "name"),
    ({"email": "a@example.com", "name": "x", "role": "king"}, "role"),
    ({"email": "a@example.com", "name": "x", "role": 1}, "role"),
    ({"email": "a@example.com", "name": "x", "role": "agent", "password": "x"}, "password"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_input_names_the_field(admin: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.post("/v1/staff/accounts", json=body)
    assert answer.status_code == 422
    assert field in answer.json()["message"]


@pytest.mark.parametrize("body", [{"role": None}, {"disabled": "yes"}, {"name": None}, {"email": "b@example.com"}])
async def test_bad_changes(admin: httpx.AsyncClient, body: dict[str, Any]) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    answer = await admin.patch(f"/v1/staff/accounts/{ann.id}", json=body, headers=ANY)
    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["message"]


async def test_the_first_owner_comes_by_the_command(http: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    password = await command.add(live_runtime.database, "Owner@Example.com", "", "owner")
    opened = await sign_in(http, "owner@example.com", password)
    assert (opened.status_code, opened.json()["must_change_password"]) == (201, True)
    again = await command.reset(live_runtime.database, "owner@example.com")
    assert (await sign_in(http, "owner@example.com", password)).status_code == 401
    assert (await sign_in(http, "owner@example.com", again)).status_code == 201
    with pytest.raises(ValueError, match="no account"):
        await command.reset(live_runtime.database, "other@example.com")


def test_the_command_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "perennial.gateway.staff", "--help"], capture_output=True, text=True, check=True
    )
    assert "add" in ran.stdout


async def test_a_development_owner(live_runtime: ServiceRuntime, gateway_settings: GatewaySettings) -> None:
    for password in ("first development pass", "first development pass", "other development pass"):
        wanted = {"dev_owner_email": "dev@example.com", "dev_owner_password": SecretStr(password)}
        async with started(live_runtime, gateway_settings.model_copy(update=wanted)) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
                opened = await sign_in(http, "dev@example.com", password)
                assert (opened.status_code, opened.json()["must_change_password"]) == (201, False)
                me = (await http.get("/v1/staff/me", headers=bearer(opened.json()["token"]))).json()
                assert (me["roles"], me["scopes"], me["fields"]) == (["owner"], ["*"], ["*"])
