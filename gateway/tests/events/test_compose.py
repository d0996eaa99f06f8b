"""Every event that was accepted is readable: from the timeline, or as identity has put it aside."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from perennial.common.auth import Principal, verify
from perennial.gateway.edge import Edge
from perennial.gateway.events.compose import Events
from perennial.gateway.openapi.snapshots import read_snapshots
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable

AT = "2026-01-02T03:04:05Z"
PARKED = {
    "state": "parked", "reason": {"code": "no_identifier", "detail": "every identifier is blocked"}, "parked_at": AT,
    "id": str(UUID(int=7)), "message_id": "a/b", "type": "track", "name": "E", "timestamp": AT,
    "original_timestamp": None, "sent_at": None, "received_at": AT, "source": "development", "live": True,
    "body": {"userId": "0"},
}  # fmt: skip


class Behind:
    """Profile, which knows the event `known`, and identity, which has parked `a/b`."""

    def __init__(self, public_key: str) -> None:
        self.key = public_key
        self.looked: list[tuple[Principal, Any, web.Request]] = []
        self.identity: web.Response | None = None

    async def profile(self, request: web.Request) -> web.Response:
        if request.match_info["id"] == "known":
            return web.json_response({"message_id": "known"})
        said = b'{"code":"not_found","status":404}'
        return web.Response(body=said, status=404, headers={"Content-Type": "application/problem+json"})

    async def look_up(self, request: web.Request) -> web.StreamResponse:
        asks = verify(request.headers["Authorization"].removeprefix("Bearer "), self.key)
        wanted = await request.json()
        self.looked.append((asks, wanted, request))
        if self.identity is not None:
            return self.identity
        found = wanted["message_id"] == "a/b" and "development" in wanted["sources"]
        return web.json_response(PARKED) if found else web.json_response({}, status=404)


@pytest.fixture
async def behind(edge: Edge, key_pair: tuple[str, str]) -> AsyncIterator[Behind]:
    made = Behind(key_pair[1])
    app = web.Application()
    app.router.add_get("/v1/events/{id:.*}", made.profile)
    app.router.add_post("/v1/identity/parked/lookup", made.look_up)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url(""))
    before = edge.proxy, edge.events
    urls = {"profile": url, "identity": url}
    edge.proxy = Proxy(RouteTable(read_snapshots()), urls, edge.tokens, Limits(5, 1_000_000))
    edge.events = Events(url, edge.tokens, edge.access.source_ids)
    yield made
    await edge.proxy.close()
    await edge.events.close()
    edge.proxy, edge.events = before
    await server.close()


async def test_an_event_of_the_timeline_passes_as_ever(admin: httpx.AsyncClient, behind: Behind) -> None:
    assert (await admin.get("/v1/events/known")).json() == {"message_id": "known"}
    assert behind.looked == []


async def test_a_parked_event_is_shown_with_the_reason(admin: httpx.AsyncClient, behind: Behind) -> None:
    answer = await admin.get("/v1/events/a%2Fb", headers={"X-Request-Id": "r1"})
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", PARKED)
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("r1", "no-store")
    assert "ratelimit" in answer.headers
    [(asks, wanted, request)] = behind.looked
    assert (asks.kind, asks.scopes) == ("api_key", frozenset("*"))
    assert wanted == {"message_id": "a/b", "sources": ["development"]}
    assert (request.headers["x-request-id"], "traceparent" in request.headers) == ("r1", True)
    head = await admin.head("/v1/events/a%2Fb")
    assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", len(answer.content))


async def test_the_source_that_is_asked_for_is_the_only_one(admin: httpx.AsyncClient, behind: Behind) -> None:
    assert (await admin.get("/v1/events/a%2Fb", params={"source": "development"})).status_code == 200
    missing = await admin.get("/v1/events/a%2Fb", params={"source": "other"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert [wanted["sources"] for _, wanted, _ in behind.looked] == [["development"], ["other"]]


async def test_what_is_nowhere_is_nowhere(admin: httpx.AsyncClient, behind: Behind) -> None:
    answer = await admin.get("/v1/events/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    behind.identity = web.json_response({"code": "invalid_request"}, status=422)
    assert (await admin.get("/v1/events/none")).status_code == 404


async def test_while_identity_does_not_answer_nobody_says_that_there_is_no_event(
    admin: httpx.AsyncClient, behind: Behind, edge: Edge
) -> None:
    for answer in (web.Response(status=500, text="<html>"), web.json_response({"state": "parked"})):
        behind.identity = answer
        unknown = await admin.get("/v1/events/none")
        assert (unknown.status_code, unknown.json()["code"]) == (503, "service_unavailable")
        assert int(unknown.headers["retry-after"]) > 0
    edge.events._identity = "http://127.0.0.1:1"
    assert (await admin.get("/v1/events/none")).status_code == 503
    assert (await admin.get("/v1/events/known")).status_code == 200


async def test_strangers_and_other_routes_are_not_looked_for(
    http: httpx.AsyncClient, admin: httpx.AsyncClient, behind: Behind
) -> None:
    assert (await http.get("/v1/events/a%2Fb")).status_code == 401
    assert (await admin.get("/v1/events/a/b/c")).json()["code"] == "unknown_route"
    assert (await admin.get("/v1/identity/parked/lookup")).status_code == 404
    assert (await admin.post("/v1/identity/parked/lookup", json={})).status_code == 404
    await asyncio.sleep(0)
    assert behind.looked == []


async def test_the_document_knows_both(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    answer = document["paths"]["/v1/events/{message_id}"]["get"]["responses"]["200"]
    shapes = [shape["$ref"].rsplit("/", 1)[1] for shape in answer["content"]["application/json"]["schema"]["anyOf"]]
    assert shapes[-1] == "gateway_ParkedEvent"
    assert {*shapes, "gateway_Reason"} <= set(document["components"]["schemas"])
