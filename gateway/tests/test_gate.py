"""What holds for every request but tracking."""

import asyncio
import json
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive

from perennial.common.ids import uuid7
from perennial.gateway.edge import Edge
from perennial.gateway.gate import MAX_BODY_BYTES
from perennial.gateway.limits import QUOTA_EXCEEDED
from perennial.gateway.principals.lookups import Lookups
from perennial.gateway.principals.tokens import Tokens
from perennial.gateway.rates import Rates
from perennial.gateway.testing import Send, track

OWN = ["/v1/api-keys", "/v1/sources", "/v1/customer-tokens"]


async def test_unknown_routes_and_methods(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")
    answer = await http.delete("/v1/sources")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.post("/openapi.json")).status_code == 405


async def test_answers_say_what_is_left(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    first, second = await admin.get("/v1/sources"), await admin.get("/v1/segments")
    assert first.headers["ratelimit-policy"] == '"default";q=60000;w=60'
    assert first.headers["ratelimit"] == '"default";r=59999;t=1'
    assert second.headers["ratelimit-policy"] == '"default";q=60000;w=60'
    assert (await http.get("/v1/nothing")).headers["ratelimit-policy"] == '"address";q=6000;w=60'
    assert "ratelimit" not in (await http.get("/healthz")).headers


async def test_too_many_requests(admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, send: Send) -> None:
    edge.rates = Rates(2, 3)
    statuses = [(await admin.get("/v1/sources")).status_code for _ in range(2)]
    assert statuses == [200, 200]
    answer = await admin.get("/v1/segments")
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.json()["type"] == QUOTA_EXCEEDED
    assert answer.json()["violated-policies"] == ["default"]
    assert answer.headers.get_list("ratelimit") == ['"default";r=0;t=30']
    assert int(answer.headers["retry-after"]) >= 30
    assert (await admin.get("/healthz")).status_code == 200
    assert (await send([track()])).status_code == 200
    stranger = [(await http.get("/v1/sources", headers={"X-Forwarded-For": str(n)})).status_code for n in range(4)]
    assert stranger == [401, 401, 401, 429]
    forged = await http.get("/v1/sources", headers={"Authorization": "Bearer psk_x_y"})
    assert forged.status_code == 429


async def test_a_key_has_the_limit_of_its_own(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    body = {"name": "x", "scopes": ["sources:read"], "rate_limit": 2}
    key = (await admin.post("/v1/api-keys", json=body)).json()["key"]
    answers = [await http.get("/v1/sources", headers={"Authorization": f"Bearer {key}"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"key";q=2;w=60'


async def test_strangers_behind_our_own_proxy_are_told_apart(http: httpx.AsyncClient, edge: Edge) -> None:
    edge.settings = edge.settings.model_copy(update={"trusted_proxies": [ip_network("127.0.0.0/8")]})
    edge.rates = Rates(1, 1)
    said = [(await http.get("/v1/me", headers={"X-Forwarded-For": f"1.1.1.1, 203.0.113.{n}"})) for n in (1, 2, 1)]
    assert [answer.status_code for answer in said] == [401, 401, 429]


async def test_a_429_can_be_read_by_a_customers_page(http: httpx.AsyncClient, edge: Edge) -> None:
    edge.rates = Rates(1, 1)
    await http.get("/v1/me")
    answer = await http.get("/v1/me")
    assert answer.status_code == 429
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("path", ["/v1/sources", "/openapi.json", "/docs", "/v1/nothing"])
async def test_head_is_get_without_the_body(admin: httpx.AsyncClient, path: str) -> None:
    head, get = await admin.head(path), await admin.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    same = ("content-type", "content-length", "etag", "cache-control")
    if path != "/v1/nothing":  # a problem bears the id of its request
        assert [head.headers.get(name) for name in same] == [get.headers.get(name) for name in same]


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/sources", "GET, HEAD, OPTIONS, POST"),
        ("/v1/sources/42", "GET, HEAD, OPTIONS"),
        ("/v1/customer-tokens", "OPTIONS, POST"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
        ("/v1/customers/42", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_says_what_may_be_done_and_to_whom_it_does_not_matter(
    http: httpx.AsyncClient, path: str, allow: str
) -> None:
    answer = await http.options(path, headers={"Origin": "https://x.example", "Access-Control-Request-Method": "GET"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(allow.split(", ")) <= set(answer.headers["allow"].split(", "))
    assert "access-control-allow-origin" not in answer.headers
    refused = await http.request("TRACE", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, answer.headers["allow"])


async def test_options_of_nothing(http: httpx.AsyncClient) -> None:
    assert (await http.options("/v1/nothing")).status_code == 404


@pytest.mark.parametrize("path", OWN)
async def test_a_stranger_cannot_fill_the_memory(http: httpx.AsyncClient, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 1024
            yield b" " * 1024

    answer = await http.post(path, content=endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert sent <= MAX_BODY_BYTES + 1024


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "9" * 30])
@pytest.mark.parametrize("path", OWN)
async def test_a_declared_length_is_refused_unread(gateway: FastAPI, path: str, length: str) -> None:
    async def unread() -> Message:
        pytest.fail("the body was read")

    status, body = await post(gateway, path, unread, (b"content-length", length.encode()))
    assert (status, body["code"]) == (413, "payload_too_large")


async def test_a_body_of_the_limit_still_arrives_in_chunks(admin: httpx.AsyncClient, http: httpx.AsyncClient) -> None:
    content = json.dumps({"name": "Shop"}).encode().ljust(MAX_BODY_BYTES)

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 1000):
            yield content[at : at + 1000]

    headers = {"Content-Type": "application/json"}
    assert (await admin.post("/v1/sources", content=chunks(), headers=headers)).status_code == 201
    assert (await http.post("/v1/sources", content=content, headers=headers)).status_code == 401
    assert (await admin.post("/v1/sources", content=content + b" ", headers=headers)).status_code == 413


@pytest.mark.parametrize("first", [[], [{"type": "http.request", "body": b"{", "more_body": True}]])
async def test_a_stalled_body_is_given_up(gateway: FastAPI, edge: Edge, first: list[Message]) -> None:
    edge.settings = edge.settings.model_copy(update={"body_seconds": 0.05})
    pending = first.copy()

    async def stalled() -> Message:
        return pending.pop() if pending else await asyncio.get_running_loop().create_future()

    async with asyncio.timeout(5):
        status, body = await post(gateway, "/v1/sources", stalled)
    assert (status, body["code"]) == (408, "body_timeout")


async def post(app: FastAPI, path: str, receive: Receive, *headers: tuple[bytes, bytes]) -> tuple[int, Any]:
    """Post as a server would, to choose what `receive` does."""
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"x"), *headers], "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return said[0]["status"], json.loads(b"".join(message.get("body", b"") for message in said))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/customer-tokens", {"customer_id": "0192f0c0-0000-7000-8000-000000000000", "ttl_seconds": 86_400}),
        ("/v1/api-keys", {"name": "heir", "scopes": ["tokens:mint"]}),
    ],
)
async def test_a_slow_body_does_not_outlive_its_key(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    scopes = ["tokens:mint", "keys:write", "customers:reveal"]
    leaked = (await admin.post("/v1/api-keys", json={"name": "leaked", "scopes": scopes})).json()
    content = json.dumps(body).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield content[:5]
        assert (await admin.delete(f"/v1/api-keys/{leaked['id']}")).status_code == 204
        yield content[5:]

    headers = {"Authorization": f"Bearer {leaked['key']}", "Content-Type": "application/json"}
    answer = await http.post(path, content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")


async def test_an_address_that_asked_too_often_makes_nobody_look_anything_up(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    minted = [(await admin.post("/v1/customer-tokens", json={"customer_id": str(uuid7())})).json() for _ in range(2)]
    known, new = [{"Authorization": f"Bearer {one['token']}"} for one in minted]
    assert (await http.get("/v1/me", headers=known)).status_code == 503
    edge.rates = Rates(1000, 1)
    assert (await http.get("/v1/sources")).status_code == 401
    asked: list[object] = []

    async def look(_: Lookups[Any], key: object) -> None:
        asked.append(key)

    monkeypatch.setattr(Lookups, "look", look)
    monkeypatch.setattr(Tokens, "_check", lambda _, token: asked.append(token))
    for unknown in (f"psk_{'a' * 12}_{'b' * 43}", f"pss_{'a' * 12}_{'b' * 43}", new["Authorization"].split()[1]):
        answer = await http.get("/v1/me", headers={"Authorization": f"Bearer {unknown}"})
        assert answer.status_code == 429
    assert asked == []
    assert (await admin.get("/v1/sources")).status_code == 200, "who is known pays from a bucket of his own"
    assert (await http.get("/v1/me", headers=known)).status_code == 503
