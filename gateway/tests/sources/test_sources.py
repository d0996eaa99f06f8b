"""Sources and their write keys over HTTP."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge, seed
from perennial.gateway.settings import GatewaySettings
from perennial.gateway.testing import WRITE_KEY, Send, Stored, started, track


async def create(admin: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/sources", json={"name": "Web shop", **changes})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def audited(runtime: ServiceRuntime) -> list[tuple[str, str, str]]:
    async with runtime.database.read() as session:
        rows = await session.execute(text("SELECT principal, action, subject FROM audit ORDER BY id"))
        return [(row.principal, row.action, row.subject) for row in rows]


def keys(source: dict[str, Any]) -> list[str]:
    return [key["key"] for key in source["write_keys"]]


async def test_a_new_source_takes_events_at_once(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    made = await create(admin, kind="client", origins=["https://shop.example"])
    assert (made["name"], made["kind"], made["enabled"], made["may_import"]) == ("Web shop", "client", True, False)
    assert (await send([track()], auth=(keys(made)[0], ""))).status_code == 200
    assert len(await stored()) == 1
    assert (await admin.get(f"/v1/sources/{made['id']}")).json() == made


async def test_rotation_keeps_two_keys_alive(
    admin: httpx.AsyncClient, send: Send, live_runtime: ServiceRuntime
) -> None:
    made = await create(admin)
    (first,) = keys(made)
    second, also_first = keys((await admin.post(f"/v1/sources/{made['id']}/rotate-key")).json())
    assert also_first == first
    third, also_second = keys((await admin.post(f"/v1/sources/{made['id']}/rotate-key")).json())
    assert also_second == second
    statuses = [(await send([track()], auth=(key, ""))).status_code for key in (first, second, third)]
    assert statuses == [401, 200, 200]
    actions = [action for _, action, subject in await audited(live_runtime) if subject == f"source/{made['id']}"]
    assert actions == ["source.created", "source.key_rotated", "source.key_rotated"]


async def test_disabling_and_enabling(admin: httpx.AsyncClient, send: Send) -> None:
    made = await create(admin)
    key = (keys(made)[0], "")
    assert (await admin.post(f"/v1/sources/{made['id']}/disable")).json()["enabled"] is False
    assert (await send([track()], auth=key)).status_code == 401
    assert (await admin.post(f"/v1/sources/{made['id']}/enable")).json()["enabled"] is True
    assert (await send([track()], auth=key)).status_code == 200


async def test_the_address_is_added_for_client_sources(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    client, server = await create(admin, kind="client"), await create(admin, kind="server")
    for source in (client, server):
        await send([track(messageId=source["kind"])], auth=(keys(source)[0], ""))
    found = {event.message_id: bytes(event.body) for event in await stored()}
    assert b'"ip":"127.0.0.1"' in found["client"]
    assert b"ip" not in found["server"]


async def test_lists_go_by_cursor(admin: httpx.AsyncClient) -> None:
    made = ["development", *[(await create(admin, name=f"s{n}"))["id"] for n in range(4)]]
    listed, cursor = [], None
    for _ in range(3):
        answer = await admin.get("/v1/sources", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        listed += [item["id"] for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
    assert listed == made
    assert cursor is None


BAD = [
    ("POST", "/v1/sources", {}, 422, "name"),
    ("POST", "/v1/sources", {"name": " "}, 422, "name"),
    ("POST", "/v1/sources", {"name": "x\0"}, 422, "name"),
    ("POST", "/v1/sources", {"name": "x" * 300}, 422, "name"),
    ("POST", "/v1/sources", {"name": "x", "kind": "both"}, 422, "kind"),
    ("POST", "/v1/sources", {"name": "x", "may_import": "yes"}, 422, "may_import"),
    ("POST", "/v1/sources", {"name": "x", "origins": ["shop"]}, 422, "origins"),
    ("POST", "/v1/sources", {"name": "x", "origins": "*"}, 422, "origins"),
    ("POST", "/v1/sources", {"name": "x", "origins": ["https://*.com"]}, 422, "origins"),
    ("POST", "/v1/sources", {"name": "x", "origins": ["https://shop.example/path"]}, 422, "origins"),
    ("POST", "/v1/sources", {"name": "x", "origins": ["https://shop.example:99999"]}, 422, "origins"),
    ("POST", "/v1/sources", {"name": "x", "rate_limit": {"events_per_second": 10}}, 422, "burst"),
    ("POST", "/v1/sources", {"name": "x", "rate_limit": {"events_per_second": 0, "burst": 2500}}, 422, "rate_limit"),
    ("POST", "/v1/sources", {"name": "x", "rate_limit": {"events_per_second": 1, "burst": 2499}}, 422, "burst"),
    ("DELETE", "/v1/sources/development/write-keys/none", None, 404, "key"),
    ("DELETE", "/v1/sources/none/write-keys/none", None, 404, "source_id"),
    ("POST", "/v1/sources", {"name": "x", "more": 1}, 422, "more"),
    ("POST", "/v1/sources", [], 422, "body"),
    ("GET", "/v1/sources?limit=0", None, 422, "limit"),
    ("GET", "/v1/sources?cursor=x", None, 400, "cursor"),
    ("GET", "/v1/sources?cursor=WzEsMl0", None, 400, "cursor"),
    ("GET", "/v1/sources/none", None, 404, "source_id"),
    ("GET", "/v1/sources/a%00b", None, 422, "source_id"),
    ("POST", "/v1/sources/none/rotate-key", None, 404, "source_id"),
    ("POST", "/v1/sources/none/disable", None, 404, "source_id"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "field"), BAD)
async def test_bad_input_names_the_field(
    admin: httpx.AsyncClient, method: str, path: str, body: Any, status: int, field: str
) -> None:
    answer = await admin.request(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert field in answer.json()["message"]


async def test_body_that_is_no_json(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/v1/sources", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


async def test_seeding_twice_changes_nothing(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, edge: Edge
) -> None:
    before = await audited(live_runtime)
    await seed(live_runtime, gateway_settings, edge.logins.passwords)
    assert await audited(live_runtime) == before
    assert [action for _, action, _ in before] == ["source.seeded", "api_key.seeded"]


async def test_a_new_development_key_replaces_the_old(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, edge: Edge
) -> None:
    changed = GatewaySettings.model_validate({**gateway_settings.model_dump(), "dev_write_key": "wk_other"})
    await seed(live_runtime, changed, edge.logins.passwords)
    await edge.access.refresh()
    assert "wk_other" in edge.access.sources
    assert WRITE_KEY not in edge.access.sources
    await seed(live_runtime, gateway_settings, edge.logins.passwords)
    await edge.access.refresh()
    assert list(edge.access.sources) == [WRITE_KEY]


async def test_other_processes_hear_of_a_new_key(
    live_runtime: ServiceRuntime, gateway_settings: GatewaySettings, admin: httpx.AsyncClient
) -> None:
    """The second gateway has its own memory; NOTIFY brings it up to date."""
    other = ServiceRuntime(live_runtime.service, gateway_settings, live_runtime.database, live_runtime.nats)
    async with started(other, gateway_settings) as second:
        made = await create(admin)
        for _ in range(100):
            if keys(made)[0] in second.state.edge.access.sources:
                break
            await other.pause(0.02)
        assert keys(made)[0] in second.state.edge.access.sources
        other.stopping.set()
