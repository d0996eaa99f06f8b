"""The proxy in front of a real upstream, over real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from perennial.common import problems
from perennial.common.auth import Authenticated, Principal, requires
from perennial.gateway.edge import Edge
from perennial.gateway.proxy.forward import Limits, Proxy
from perennial.gateway.proxy.routes import RouteTable

SERVICE = "shop"


router = APIRouter()


async def echo(request: Request, thing: str, principal: Authenticated) -> dict[str, Any]:
    """What the service saw."""
    return {
        "thing": thing,
        "query": request.url.query,
        "headers": dict(request.headers),
        "body": (await request.body()).decode("latin-1"),
        "principal": [principal.kind, principal.id, sorted(principal.scopes), str(principal.via)],
    }


router.get("/v1/things/{thing}", operation_id="get_thing")(echo)
router.post("/v1/things/{thing}", operation_id="post_thing")(echo)


@router.get("/v1/guarded")
async def guarded(_: Annotated[object, Depends(requires("things:read"))]) -> dict[str, Any]:
    return {}


@router.get("/v1/me/things")
async def mine(principal: Authenticated) -> dict[str, Any]:
    return {"via": str(principal.via), "kind": principal.kind}


@router.post("/v1/hooks/{source}", openapi_extra={"security": []})
async def hook(request: Request, source: str) -> dict[str, Any]:
    return {"authorization": request.headers.get("authorization"), "source": source}


@router.post("/v1/size")
async def size(request: Request) -> dict[str, int]:
    return {"size": sum([len(chunk) async for chunk in request.stream()])}


@router.get("/v1/stream")
async def stream() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 10_000

    return StreamingResponse(chunks(), headers={"Cache-Control": "max-age=60"})


@router.get("/v1/redirect")
async def redirect() -> Response:
    return RedirectResponse("https://elsewhere.example/")


@router.get("/v1/slow")
async def slow() -> None:
    await asyncio.sleep(5)


@router.get("/v1/broken")
async def broken() -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("broken on purpose")

    return StreamingResponse(chunks(), headers={"Content-Length": "1000"})


def upstream(public_key: str) -> FastAPI:
    """A service."""
    app = FastAPI(redirect_slashes=False)
    app.state.settings = type("Settings", (), {"internal_key": public_key})
    problems.install(app)
    app.include_router(router)
    return app


@contextlib.asynccontextmanager
async def serving(app: Any, port: int = 0) -> AsyncIterator[int]:
    """A real server on a port."""
    config = uvicorn.Config(app, "127.0.0.1", port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def shop(edge: Edge, key_pair: tuple[str, str]) -> AsyncIterator[FastAPI]:
    """The upstream, with the edge's proxy in front of it."""
    app = upstream(key_pair[1])
    async with serving(app) as port, _proxied(edge, app, f"http://127.0.0.1:{port}"):
        yield app


@contextlib.asynccontextmanager
async def _proxied(edge: Edge, app: FastAPI, url: str, **limits: Any) -> AsyncIterator[None]:
    before = edge.proxy
    chosen = Limits(**{"seconds": 0.5, "body_bytes": 1_000_000, **limits})
    edge.proxy = Proxy(RouteTable({SERVICE: app.openapi()}), {SERVICE: url}, edge.authenticator, edge.tokens, chosen)
    yield
    await edge.proxy.close()
    edge.proxy = before


async def customer(admin: httpx.AsyncClient) -> tuple[str, dict[str, str]]:
    customer_id = str(uuid4())
    token = (await admin.post("/v1/customer-tokens", json={"customer_id": customer_id})).json()["token"]
    return customer_id, {"Authorization": f"Bearer {token}"}


async def test_a_request_and_its_answer(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer = await admin.post(
        "/v1/things/a%20b?x=1&x=%2F",
        content=b"body",
        headers={"X-Request-Id": "r1", "traceparent": parent, "X-Internal-Role": "root", "Idempotency-Key": '"k"'},
    )
    found = answer.json()
    assert (answer.status_code, found["thing"], found["query"], found["body"]) == (200, "a b", "x=1&x=%2F", "body")
    assert found["principal"] == ["api_key", "development", ["*"], "None"]
    seen = found["headers"]
    assert (seen["x-request-id"], seen["idempotency-key"], seen["content-length"]) == ("r1", '"k"', "4")
    assert seen["traceparent"].split("-")[1] == parent.split("-")[1]
    assert "x-internal-role" not in seen
    assert "psk_" not in seen["authorization"]
    assert answer.headers["x-request-id"] == "r1"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


async def test_an_internal_token_of_ones_own_is_refused(http: httpx.AsyncClient, edge: Edge, shop: FastAPI) -> None:
    token = edge.tokens.internal(Principal("staff", "root", frozenset("*")))
    answer = await http.get("/v1/things/1", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("authorization", [None, "Bearer psk_x_y", "Basic d2tfdGVzdDo="])
async def test_strangers_reach_no_service(http: httpx.AsyncClient, shop: FastAPI, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = await http.get("/v1/things/1", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_scopes_are_the_services_business(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, shop: FastAPI
) -> None:
    made = (await admin.post("/v1/api-keys", json={"name": "x", "scopes": ["other:read"]})).json()
    answer = await http.get("/v1/guarded", headers={"Authorization": f"Bearer {made['key']}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (await admin.get("/v1/guarded")).status_code == 200


async def test_customers_reach_their_own_routes_only(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, shop: FastAPI
) -> None:
    customer_id, headers = await customer(admin)
    answer = await http.get("/v1/me/things", headers=headers)
    assert answer.json() == {"via": customer_id, "kind": "customer"}
    assert answer.headers["access-control-allow-origin"] == "*"
    refused = await http.get("/v1/things/1", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    refused = await admin.get("/v1/me/things")
    assert (refused.status_code, refused.json()["code"]) == (403, "customer_token_required")
    stranger = await http.get("/v1/me/things")
    assert stranger.status_code == 401
    assert stranger.headers["access-control-allow-origin"] == "*"
    preflight = await http.options("/v1/me/things", headers={"Origin": "https://shop.example"})
    assert preflight.status_code == 204
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


async def test_public_routes_need_no_principal_and_bear_none(http: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await http.post("/v1/hooks/x", headers={"Authorization": "Bearer partner"}, content=b"{}")
    assert answer.json() == {"authorization": None, "source": "x"}


async def test_unknown_routes_and_methods(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    assert (await admin.get("/v1/things")).status_code == 404
    assert (await admin.get("/openapi.json/x")).status_code == 404
    answer = await admin.delete("/v1/things/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    for path in ("/v1/things/..%2f..%2fmetrics", "/v1/things/%2e%2e"):
        assert (await admin.get(path)).status_code == 404


async def test_bodies_stream_both_ways(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await admin.get("/v1/stream")
    assert (len(answer.content), answer.headers["cache-control"]) == (500_000, "max-age=60")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    assert (await admin.post("/v1/size", content=chunks())).json() == {"size": 200_000}
    assert (await admin.post("/v1/size", content=b"x" * 300_000)).json() == {"size": 300_000}
    assert (await admin.post("/v1/size")).json() == {"size": 0}


async def test_bodies_are_limited(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    for content in (b"x" * 1_000_001, chunks()):
        answer = await admin.post("/v1/size", content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_redirects_are_not_followed(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await admin.get("/v1/redirect")
    assert (answer.status_code, answer.headers["location"]) == (307, "https://elsewhere.example/")


async def test_a_slow_service(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await admin.get("/v1/slow")
    assert (answer.status_code, answer.json()["code"]) == (504, "service_timeout")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_service_that_is_down(admin: httpx.AsyncClient, edge: Edge, key_pair: tuple[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with _proxied(edge, upstream(key_pair[1]), f"http://127.0.0.1:{port}"):
        answer = await admin.post("/v1/things/1", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        async with serving(upstream(key_pair[1]), port):
            assert (await admin.post("/v1/things/1", content=b"x")).status_code == 200


async def test_a_service_nobody_configured(admin: httpx.AsyncClient, edge: Edge, shop: FastAPI) -> None:
    edge.proxy._services.clear()
    answer = await admin.get("/v1/things/1")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


async def test_a_service_that_talks_nonsense(admin: httpx.AsyncClient, edge: Edge, key_pair: tuple[str, str]) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, _proxied(edge, upstream(key_pair[1]), url):
        answer = await admin.get("/v1/things/1")
        assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")


async def test_a_cut_answer_does_not_look_whole(admin: httpx.AsyncClient, gateway: FastAPI, shop: FastAPI) -> None:
    async with serving(gateway) as port, httpx.AsyncClient(headers=admin.headers) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/v1/broken")
