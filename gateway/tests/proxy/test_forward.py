"""The proxy in front of a real upstream, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from perennial.common.auth import Principal
from perennial.gateway.edge import Edge


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
    made = (await admin.post("/v1/api-keys", json={"name": "x", "scopes": ["loyalty:read"]})).json()
    answer = await http.get("/v1/guarded", headers={"Authorization": f"Bearer {made['key']}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert (await admin.get("/v1/guarded")).status_code == 200


async def test_the_gateway_knows_the_rules_by_itself(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, shop: FastAPI
) -> None:
    assert (await admin.get("/v1/desk")).json()["code"] == "staff_required"
    refused = await admin.get("/v1/unruled")
    assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
    made = (await admin.post("/v1/api-keys", json={"name": "x", "scopes": ["loyalty:read"]})).json()
    refused = await http.get("/v1/slow", headers={"Authorization": f"Bearer {made['key']}"})
    assert refused.status_code == 403  # at once: the service was not asked


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
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
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


async def test_an_answer_of_any_length_is_whole(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    """Also one that has come in whole before its first piece is passed on."""
    for length in [0, 1, *range(65_530, 65_545), *range(66_000, 90_000, 1_000), 1_000_000]:
        answer = await admin.get("/v1/long", params={"length": length})
        assert (answer.status_code, len(answer.content)) == (200, length)


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


async def test_a_service_that_is_down(
    admin: httpx.AsyncClient, edge: Edge, upstream: Any, proxied: Any, serving: Any
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with proxied(upstream(), f"http://127.0.0.1:{port}"):
        answer = await admin.post("/v1/things/1", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        async with serving(upstream(), port):
            assert (await admin.post("/v1/things/1", content=b"x")).status_code == 200


async def test_a_service_nobody_configured(admin: httpx.AsyncClient, edge: Edge, shop: FastAPI) -> None:
    edge.proxy._services.clear()
    answer = await admin.get("/v1/things/1")
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")


async def test_a_service_that_talks_nonsense(
    admin: httpx.AsyncClient, edge: Edge, upstream: Any, proxied: Any, serving: Any
) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, proxied(upstream(), url):
        answer = await admin.get("/v1/things/1")
        assert (answer.status_code, answer.json()["code"]) == (502, "bad_gateway")


async def test_a_cut_answer_does_not_look_whole(
    admin: httpx.AsyncClient, gateway: FastAPI, shop: FastAPI, serving: Any
) -> None:
    # What it logs of the service's error takes seconds, on the same loop.
    async with serving(gateway) as port, httpx.AsyncClient(headers=admin.headers, timeout=60) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/v1/broken?length=1000000")
        short = await client.get(f"http://127.0.0.1:{port}/v1/broken")
        assert short.status_code in {502, 504}, "whichever end gives up first"


async def test_head_asks_no_service_for_a_body(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await admin.head("/v1/endless")
    assert (answer.status_code, answer.content) == (200, b"")
    async with asyncio.timeout(5):
        await shop.state.left.wait()
    assert (await admin.head("/v1/things/1")).headers["content-type"] == "application/json"
    assert (await admin.head("/v1/size")).status_code == 405


async def test_options_asks_nobody(http: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await http.options("/v1/things/1")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert (await http.options("/v1/things")).status_code == 404
