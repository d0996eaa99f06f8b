"""Identity says what would change, every service what it would show: one answer, as the principal may see it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perennial.common.auth import Principal, verify
from perennial.gateway.edge import Edge
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.previews.compose import SERVICES, Previews
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable

VIA, CUSTOMER = str(UUID(int=1)), str(UUID(int=2))
ASSIGNMENTS = [{"via": VIA, "customer_id": CUSTOMER, "version": 2}]
BODY = {"customer_ids": [VIA, CUSTOMER], "reason": "the same"}
PATHS = ["/v1/merges", f"/v1/merges/{VIA}/undo", "/v1/splits", f"/v1/splits/{VIA}/undo"]


class Platform:
    """Identity and the services behind the edge, in one process; each may be told to behave otherwise."""

    def __init__(self, public_key: str) -> None:
        self.key = public_key
        self.seen: list[tuple[str, Principal, web.Request, Any]] = []
        self.answers: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {}

    async def identity(self, request: web.Request) -> web.StreamResponse:
        if "identity" in self.answers:
            return await self.answers["identity"](request)
        if request.query.get("preview") != "true":
            return web.json_response({"id": VIA}, status=201, headers={"Location": "/v1/merges/1"})
        return web.json_response({"preview": True, "assignments": ASSIGNMENTS, "customers": []})

    async def service(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        principal = verify(request.headers["Authorization"].removeprefix("Bearer "), self.key)
        self.seen.append((name, principal, request, await request.json()))
        if name in self.answers:
            return await self.answers[name](request)
        return web.json_response({"before": {}, "after": {CUSTOMER: {"by": name}}})


@pytest.fixture
async def platform(edge: Edge, key_pair: tuple[str, str]) -> AsyncIterator[Platform]:
    made = Platform(key_pair[1])
    app = web.Application()
    app.router.add_post("/v1/previews/{name}", made.service)
    for path in ("/v1/merges", "/v1/merges/{id}/undo", "/v1/splits", "/v1/splits/{id}/undo"):
        app.router.add_post(path, made.identity)
    server = TestServer(app)
    await server.start_server()
    urls = dict.fromkeys(("identity", *SERVICES), str(server.make_url("")))
    before = edge.proxy, edge.previews
    edge.proxy = Proxy(RouteTable(read_snapshots()), urls, edge.tokens, Limits(5, 1_000_000))
    edge.previews = Previews(urls, edge.tokens, seconds=1.0)
    yield made
    await edge.proxy.close()
    await edge.previews.close()
    edge.proxy, edge.previews = before
    await server.close()


@pytest.mark.parametrize("path", PATHS)
async def test_one_answer_from_all(admin: httpx.AsyncClient, platform: Platform, path: str) -> None:
    answer = await admin.post(path, params={"preview": "true"}, json=BODY, headers={"X-Request-Id": "r1"})
    found = answer.json()
    assert (answer.status_code, answer.headers["cache-control"], answer.headers["x-request-id"]) == (
        200, "no-store", "r1",
    )  # fmt: skip
    assert "ratelimit" in answer.headers
    assert (found["preview"], found["assignments"]) == (True, ASSIGNMENTS)
    assert {name: shown["after"][CUSTOMER]["by"] for name, shown in found["services"].items()} == {
        name: name for name in SERVICES
    }
    assert (found["withheld"], found["unavailable"]) == ([], [])
    for _, principal, request, body in platform.seen:
        assert (principal.kind, principal.scopes) == ("api_key", frozenset("*"))
        assert (request.headers["x-request-id"], body) == ("r1", {"assignments": ASSIGNMENTS})
        assert "traceparent" in request.headers


async def test_the_real_thing_passes_as_ever(admin: httpx.AsyncClient, platform: Platform) -> None:
    for query in ({}, {"preview": "false"}):
        made = await admin.post("/v1/merges", params=query, json=BODY)
        assert (made.status_code, made.headers["location"], made.json()) == (201, "/v1/merges/1", {"id": VIA})
    assert platform.seen == []


async def test_who_is_not_there_in_time_is_named(admin: httpx.AsyncClient, platform: Platform) -> None:
    over = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await over.wait()
        return web.json_response({})

    async def odd(_: web.Request) -> web.Response:
        return web.json_response([])

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500, text="<html>")

    platform.answers |= {"loyalty": slow, "tickets": odd, "profile": broken}
    found = (await admin.post("/v1/merges", params={"preview": "true"}, json=BODY)).json()
    over.set()
    assert (sorted(found["services"]), found["unavailable"]) == (
        ["campaigns", "segments"], ["loyalty", "profile", "tickets"],
    )  # fmt: skip


async def test_who_is_busy_is_asked_again(admin: httpx.AsyncClient, platform: Platform) -> None:
    async def busy(_: web.Request) -> web.Response:
        del platform.answers["loyalty"]
        return web.json_response({"code": "busy"}, status=503)

    platform.answers["loyalty"] = busy
    found = (await admin.post("/v1/merges", params={"preview": "true"}, json=BODY)).json()
    assert (len(found["services"]), found["unavailable"]) == (len(SERVICES), [])


async def test_what_one_may_not_read_is_withheld(admin: httpx.AsyncClient, platform: Platform) -> None:
    async def refused(_: web.Request) -> web.Response:
        return web.json_response({"code": "insufficient_scope"}, status=403)

    platform.answers["campaigns"] = refused
    found = (await admin.post("/v1/merges", params={"preview": "true"}, json=BODY)).json()
    assert (found["withheld"], found["unavailable"], "campaigns" in found["services"]) == (["campaigns"], [], False)


async def test_refusals_of_identity_and_of_the_edge(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, platform: Platform
) -> None:
    async def conflict(_: web.Request) -> web.Response:
        body = {"code": "two_user_ids", "status": 409}
        return web.json_response(body, status=409, content_type="application/problem+json")

    query = {"preview": "true"}
    platform.answers["identity"] = conflict
    refused = await admin.post("/v1/merges", params=query, json=BODY)
    assert (refused.status_code, refused.json()["code"]) == (409, "two_user_ids")
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert (await http.post("/v1/merges", params=query, json=BODY)).status_code == 401
    key = (await admin.post("/v1/api-keys", json={"name": "x", "scopes": ["identities:read"]})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert (await http.post("/v1/merges", params=query, json=BODY, headers=headers)).status_code == 403
    assert platform.seen == []


async def test_identity_breaks_off(admin: httpx.AsyncClient, platform: Platform) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"preview":true')
        assert request.transport is not None
        request.transport.close()
        return response

    platform.answers["identity"] = cut
    answer = await admin.post("/v1/merges", params={"preview": "true"}, json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")


async def test_the_services_own_routes_are_not_for_outside(admin: httpx.AsyncClient, platform: Platform) -> None:
    answer = await admin.post("/v1/previews/profile", json={"assignments": ASSIGNMENTS})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")


@pytest.mark.parametrize("query", ["preview", "preview=true&preview=false", "x=preview", "preview=%00"])
async def test_odd_queries_go_to_identity(admin: httpx.AsyncClient, platform: Platform, query: str) -> None:
    answer = await admin.post(f"/v1/merges?{query}", json=BODY)
    assert answer.status_code in (200, 201)
