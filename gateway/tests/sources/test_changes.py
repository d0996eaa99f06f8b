"""Changing a source: by version, at once, in every process."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import Send, started, track

NAMED = {"name": "Web"}


async def create(admin: httpx.AsyncClient, **changes: Any) -> tuple[dict[str, Any], str]:
    """A source and its path."""
    answer = await admin.post("/v1/sources", json={**NAMED, **changes})
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"1"'
    found: dict[str, Any] = answer.json()
    return found, f"/v1/sources/{found['id']}"


async def test_a_change_needs_the_version_it_is_made_to(admin: httpx.AsyncClient) -> None:
    made, path = await create(admin, origins=["https://Shop.example:443"])
    assert made["origins"] == ["https://shop.example"]
    assert (await admin.patch(path, json={"name": "New"})).status_code == 428
    answer = await admin.patch(path, json={"name": "New"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    assert answer.json() == {**made, "name": "New", "version": 2}
    assert (await admin.get(path)).headers["etag"] == '"2"'
    answer = await admin.patch(path, json={"name": "Newer"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")


async def test_a_change_that_changes_nothing_is_no_version(
    admin: httpx.AsyncClient, live_runtime: ServiceRuntime
) -> None:
    _, path = await create(admin)
    answer = await admin.patch(path, json={"name": "Web"}, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    async with live_runtime.database.read() as session:
        actions = (await session.execute(text("SELECT action FROM audit WHERE subject <> 'source/development'"))).all()
    assert "source.changed" not in {row.action for row in actions}


async def test_every_field_can_be_changed(admin: httpx.AsyncClient, live_runtime: ServiceRuntime) -> None:
    made, path = await create(admin)
    wanted = {
        "name": "App", "kind": "client", "may_import": True, "may_consent": True,
        "origins": ["https://*.shop.example"],
        "rate_limit": {"events_per_second": 100, "burst": 2500},
    }  # fmt: skip
    changed = (await admin.patch(path, json=wanted, headers={"If-Match": '"1"'})).json()
    assert changed == {**made, **wanted, "version": 2}
    changed = (await admin.patch(path, json={"rate_limit": None}, headers={"If-Match": '"2"'})).json()
    assert changed["rate_limit"] is None
    async with live_runtime.database.read() as session:
        statement = text("SELECT detail FROM audit WHERE action = 'source.changed' ORDER BY id")
        first, second = (await session.execute(statement)).scalars()
    assert first["events_per_second"] == 100
    assert second == {"events_per_second": None, "burst": None}


BAD: list[tuple[Any, str | None, int, str]] = [
    ({"name": ""}, "*", 422, "name"),
    ({"name": None}, "*", 422, "name"),
    ({"kind": "both"}, "*", 422, "kind"),
    ({"enabled": False}, "*", 422, "enabled"),
    ({"origins": ["ftp://x.example"]}, "*", 422, "origins"),
    ({"origins": ["https://*.10.0.0.1"]}, "*", 422, "origins"),
    ({"origins": ["https://a.*.example"]}, "*", 422, "origins"),
    ({"may_import": 1}, "*", 422, "may_import"),
    ({"rate_limit": {"events_per_second": 1, "burst": 1}}, "*", 422, "burst"),
    ({"rate_limit": 7}, "*", 422, "rate_limit"),
    ([], "*", 422, "body"),
    ({}, "x", 400, "If-Match"),
    ({}, None, 428, "If-Match"),
]


@pytest.mark.parametrize(("body", "seen", "status", "field"), BAD)
async def test_bad_changes_name_the_field(
    admin: httpx.AsyncClient, body: Any, seen: str | None, status: int, field: str
) -> None:
    headers = {"If-Match": seen} if seen else {}
    answer = await admin.patch("/v1/sources/development", json=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert field in answer.json()["message"]


async def test_one_key_can_be_retired(admin: httpx.AsyncClient, send: Send) -> None:
    made, path = await create(admin)
    (old,) = (key["key"] for key in made["write_keys"])
    assert (await admin.delete(f"{path}/write-keys/{old}")).json()["code"] == "last_key"
    new = (await admin.post(f"{path}/rotate-key")).json()["write_keys"][0]["key"]
    for _ in range(2):
        assert (await admin.delete(f"{path}/write-keys/{old}")).status_code == 204
    assert [(await send([track()], auth=(key, ""))).status_code for key in (old, new)] == [401, 200]
    assert (await admin.delete(f"/v1/sources/development/write-keys/{new}")).status_code == 404
    assert [key["key"] for key in (await admin.get(path)).json()["write_keys"]] == [new]


async def test_other_processes_hear_of_a_change(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, admin: httpx.AsyncClient
) -> None:
    other = ServiceRuntime(live_runtime.service, gateway_settings, live_runtime.database, live_runtime.nats)
    async with started(other, gateway_settings) as second:
        access = second.state.edge.access
        made, path = await create(admin)
        key = made["write_keys"][0]["key"]
        await admin.patch(path, json={"rate_limit": {"events_per_second": 5, "burst": 2500}}, headers={"If-Match": "*"})
        plan: dict[str, Any] = {"events": {"A": {"schema": {}}}}
        await admin.put(f"{path}/tracking-plan", json=plan, headers={"If-None-Match": "*"})
        for _ in range(100):
            if made["id"] in access.plans and access.sources[key].policy:
                break
            await other.pause(0.02)
        assert access.sources[key].policy.quota == 2500
        assert set(access.plans[made["id"]].events) == {"A"}
        other.stopping.set()
