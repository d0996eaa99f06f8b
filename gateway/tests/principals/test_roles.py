"""Roles, and what each sees in clear."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.permissions import ROLES, SCOPES, Role
from perennial.gateway.principals import grants
from perennial.gateway.principals.testing import hire, problem
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import started


def test_every_scope_of_a_role_exists() -> None:
    for role in ROLES.values():
        grants.check_known(role.scopes)
    assert {"staff:read", "staff:write", "tokens:read", "tokens:write"} <= SCOPES


async def test_choosing_fields(admin: httpx.AsyncClient, http: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    ann = await hire(admin, "analyst", "ann@example.com")
    assert (await http.get("/v1/staff/me", headers=ann.headers)).json()["fields"] == []
    shown = await admin.get("/v1/roles/analyst")
    assert (shown.headers["etag"], shown.json()["fields"]) == ('"0"', [])
    path, tag = "/v1/roles/analyst/fields", {"If-Match": '"0"'}
    chosen = await admin.put(path, json={"fields": ["birthday", "age", "age"]}, headers=tag)
    assert (chosen.status_code, chosen.json()["fields"], chosen.headers["etag"]) == (200, ["age", "birthday"], '"1"')
    assert (await http.get("/v1/staff/me", headers=ann.headers)).json()["fields"] == ["age", "birthday"]
    assert (await admin.put(path, json={"fields": []}, headers=tag)).status_code == 412
    assert (await admin.put(path, json={"fields": []})).status_code == 428
    back = await admin.put(path, json={"fields": None}, headers={"If-Match": '"1"'})
    assert (back.json()["fields"], back.json()["version"]) == ([], 2)
    listed = {role["name"]: role for role in (await admin.get("/v1/roles")).json()["items"]}
    assert set(listed) == set(ROLES)
    assert listed["owner"]["scopes"] == ["*"]
    async with live_runtime.database.read() as session:
        noted = await session.execute(text("SELECT detail FROM audit WHERE subject = 'role/analyst' ORDER BY id"))
        first = noted.scalars().first()
    assert first == {"before": [], "after": ["age", "birthday"]}


async def test_every_process_hears_of_it(
    admin: httpx.AsyncClient, live_runtime: ServiceRuntime, gateway_settings: GatewaySettings
) -> None:
    async with started(live_runtime, gateway_settings) as other:
        await admin.put("/v1/roles/analyst/fields", json={"fields": ["age"]}, headers={"If-Match": "*"})
        memory = other.state.edge.access.principals
        for _ in range(100):
            if memory.roles["analyst"].fields:
                break
            await asyncio.sleep(0.05)
        assert memory.roles["analyst"].fields == {"age"}


async def test_nobody_shows_more_than_he_sees(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    boss = await hire(admin, "admin", "boss@example.com")

    async def choose(role: str, *fields: str) -> httpx.Response:
        headers = boss.headers | {"If-Match": "*"}
        return await http.put(f"/v1/roles/{role}/fields", json={"fields": fields}, headers=headers)

    assert (await choose("analyst", "birthday")).status_code == 200
    for role, fields in (("analyst", ("email",)), ("analyst", ("*",)), ("owner", ())):
        assert problem(await choose(role, *fields)) == (403, "role_above_own")


@pytest.mark.parametrize("fields", ["age", [1], ["Age!"], ["a" * 65], [""], ["age"] * 201])
async def test_bad_fields(admin: httpx.AsyncClient, fields: Any) -> None:
    answer = await admin.put("/v1/roles/analyst/fields", json={"fields": fields}, headers={"If-Match": "*"})
    assert answer.status_code == 422
    assert "fields" in answer.json()["message"]


async def test_an_unknown_role(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/v1/roles/king")).status_code == 404
    answer = await admin.put("/v1/roles/king/fields", json={"fields": []}, headers={"If-Match": "*"})
    assert answer.status_code == 404


async def test_a_role_that_is_no_more_may_nothing(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await hire(admin, "agent", "ann@example.com")
    monkeypatch.delitem(edge.access.principals.roles, "agent")
    me = (await http.get("/v1/staff/me", headers=ann.headers)).json()
    assert (me["scopes"], me["fields"]) == ([], [])


def test_a_role_is_covered_by_itself_only_with_all_its_fields() -> None:
    role = Role("", frozenset({"tickets:read"}), frozenset({"email"}))
    by = Principal("staff", "x", role.scopes)
    with pytest.raises(Exception, match="the field email"):
        grants.check_role(by, "agent", role)
