"""What holds for every request."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive

from perennial.gateway.edge import Edge
from perennial.gateway.guard import MAX_BODY_BYTES

OWN = ["/v1/api-keys", "/v1/sources", "/v1/customer-tokens"]


async def test_every_answer_has_a_request_id(http: httpx.AsyncClient) -> None:
    first, second = await http.get("/healthz"), await http.get("/v1/nothing")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_harmless_request_id_is_kept(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz", headers={"X-Request-Id": "abc-1.2:3"})).headers["x-request-id"] == "abc-1.2:3"
    for forged in ("a b", "x" * 200, "ä", '{"level":"error"}'):
        answer = await http.get("/healthz", headers=[(b"X-Request-Id", forged.encode())])
        assert answer.headers["x-request-id"] != forged


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/sources", "/v1/nothing", "/healthz"])
async def test_oversized_heads(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"X-Large": "x" * 40_000})
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
    many = [(f"X-{number}", "1") for number in range(120)]
    assert (await http.get(path, headers=many)).status_code == 431
    answer = await http.get(path, params={"x": "y" * 9000})
    assert (answer.status_code, answer.json()["code"]) == (414, "uri_too_long")


async def test_unknown_routes_and_methods(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/nothing")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")
    answer = await http.delete("/v1/sources")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.post("/openapi.json")).status_code == 405


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
        "headers": list(headers), "scheme": "http", "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return said[0]["status"], json.loads(b"".join(message.get("body", b"") for message in said))
