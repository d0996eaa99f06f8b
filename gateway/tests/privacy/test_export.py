"""The export gathers page by page from every service, waits for one that is away, and ends as an archive."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from uuid import UUID

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import text

from perennial.common.auth import Principal, verify
from perennial.common.operations import worker
from perennial.common.privacy.api import SCOPE
from perennial.common.service import ServiceRuntime
from perennial.gateway.edge import Edge
from perennial.gateway.privacy.export import SELF, SERVICES
from perennial.gateway.settings import GatewaySettings

ADA = str(UUID(int=7))


@dataclass
class Platform:
    """Every service, in one process: two sections each, the second in two pages."""

    key: str
    runtime: ServiceRuntime
    asked: list[tuple[str, Principal]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)

    async def subject(self, request: web.Request) -> web.Response:
        if (await request.json())["customer_id"] != ADA:
            return web.json_response({"code": "unknown_customer"}, status=404)
        return web.json_response({"customer_id": ADA, "vias": [ADA], "digests": ["00ff"]})

    async def given(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.json()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append((name, verify(token, self.key)))
        assert (body["vias"], body["digests"]) == ([ADA], ["00ff"])
        if name in self.away:
            return web.json_response({}, status=503)
        where = (body["section"], body["after"])
        row = {"of": name, "where": f"{where[0]}/{where[1]}"}
        following = {(0, ""): (1, ""), (1, ""): (1, "more"), (1, "more"): (None, "")}[where]
        return web.json_response(
            {"section": f"table{where[0]}", "rows": [row], "next_section": following[0], "after": following[1]}
        )


@pytest.fixture
async def platform(
    live_runtime: ServiceRuntime, edge: Edge, gateway_settings: GatewaySettings, key_pair: tuple[str, str]
) -> AsyncIterator[Platform]:
    app = web.Application()
    runtime = replace(live_runtime)
    made = Platform(key_pair[1], runtime)
    app.router.add_post("/v1/privacy/identity/subject", made.subject)
    app.router.add_post("/v1/privacy/{name}", made.given)
    server = TestServer(app)
    await server.start_server()
    urls = {name: str(server.make_url("")) for name in SERVICES if name != SELF}
    runtime.settings = gateway_settings.model_copy(update={"services": urls})
    yield made
    await server.close()


async def run(platform: Platform) -> None:
    for _ in range(60):
        if not await worker.step_once(platform.runtime):
            return


async def test_the_archive_holds_the_pages_of_every_service(platform: Platform, admin: httpx.AsyncClient) -> None:
    asked = await admin.post(f"/v1/customers/{ADA}/export")
    assert asked.status_code == 202, asked.text
    await run(platform)
    done = (await admin.get(asked.headers["Location"])).json()
    assert (done["state"], [file["name"] for file in done["files"]]) == ("succeeded", ["export.zip"])
    assert all(who.kind == "service" and who.scopes == {SCOPE} for _, who in platform.asked)
    archive = await admin.get(f"{asked.headers['Location']}/files/export.zip")
    with zipfile.ZipFile(io.BytesIO(archive.content)) as read:
        for name in SERVICES:
            if name != SELF:
                rows = json.loads(read.read(f"{name}/table1.json"))
                assert [row["where"] for row in rows] == ["1/", "1/more"], name
    async with platform.runtime.database.read() as session:
        parts = await session.execute(text("SELECT DISTINCT name FROM operation_file"))
        assert parts.scalars().all() == ["export.zip"]
        audited = await session.execute(text("SELECT subject FROM audit WHERE action = 'customer.exported'"))
        assert audited.scalars().all() == [ADA]


async def test_a_service_that_is_away_is_waited_for(platform: Platform, admin: httpx.AsyncClient) -> None:
    platform.away.add("tickets")
    asked = await admin.post(f"/v1/customers/{ADA}/export")
    await run(platform)
    waiting = (await admin.get(asked.headers["Location"])).json()
    assert (waiting["state"], waiting["done"]) == ("running", SERVICES.index("tickets"))
    platform.away.clear()
    async with platform.runtime.database.write() as session:
        await session.execute(text("UPDATE operation SET next_at = now() - interval '1 second'"))
    await run(platform)
    assert (await admin.get(asked.headers["Location"])).json()["state"] == "succeeded"
    assert [name for name, _ in platform.asked].count("loyalty") == 3, "what was gathered is not asked for again"


async def test_a_customer_who_is_not_there(platform: Platform, admin: httpx.AsyncClient) -> None:
    asked = await admin.post(f"/v1/customers/{UUID(int=8)}/export")
    await run(platform)
    failed = (await admin.get(asked.headers["Location"])).json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "unknown_customer")


async def test_a_customer_gets_ones_own(platform: Platform, http: httpx.AsyncClient, edge: Edge) -> None:
    me, other = (
        {"Authorization": f"Bearer {edge.tokens.customer(UUID(int=number), 600)[0]}"} for number in (7, 8)
    )  # fmt: skip
    assert (await http.get("/v1/me/export", headers=me)).status_code == 404
    asked = await http.post("/v1/me/export", headers={**me, "Idempotency-Key": "x1"})
    assert (asked.status_code, asked.json()["ready"]) == (202, False), asked.text
    again = await http.post("/v1/me/export", headers={**me, "Idempotency-Key": "x2"})
    assert again.json()["id"] == asked.json()["id"], "one at a time"
    assert (await http.get("/v1/me/export/file", headers=me)).status_code == 404
    await run(platform)
    assert (await http.get("/v1/me/export", headers=me)).json()["ready"] is True
    file = await http.get("/v1/me/export/file", headers=me)
    assert zipfile.ZipFile(io.BytesIO(file.content)).testzip() is None
    for path in ("/v1/me/export", "/v1/me/export/file"):
        assert (await http.get(path, headers=other)).status_code == 404
