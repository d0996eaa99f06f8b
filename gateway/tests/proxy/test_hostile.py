"""The proxy between a service and clients that are slow, leave, or pretend."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.testing import capture_logs

from perennial.common.web.protocol import Protocol
from perennial.gateway.edge import Edge


@pytest.mark.parametrize("length", [10, 500_000, None])
async def test_a_body_that_trickles_is_given_up(
    admin: httpx.AsyncClient, edge: Edge, upstream: Any, proxied: Any, serving: Any, length: int | None
) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x"
            await asyncio.sleep(0.1)

    app = upstream()
    headers = {"Content-Length": str(length)} if length else {}
    async with serving(app) as port, proxied(app, f"http://127.0.0.1:{port}", seconds=5, body_seconds=0.3):
        async with asyncio.timeout(3):
            answer = await admin.post("/v1/size", content=trickle(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (408, "body_timeout")


@pytest.mark.parametrize("request_", [b"GET %b HTTP/1.1\r\n\r\n", b"POST %b HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"])
async def test_a_client_that_leaves_takes_its_request_along(
    gateway: FastAPI, admin: httpx.AsyncClient, shop: FastAPI, request_: bytes, serving: Any
) -> None:
    head, _, rest = (request_ % b"/v1/endless").partition(b"\r\n")
    sent = b"\r\n".join([head, b"Host: x", f"Authorization: {admin.headers['authorization']}".encode(), rest])
    async with serving(gateway) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
        async with asyncio.timeout(5):
            await shop.state.left.wait()


async def test_a_client_that_leaves_before_the_answer(
    gateway: FastAPI, admin: httpx.AsyncClient, edge: Edge, shop: FastAPI, serving: Any
) -> None:
    async with serving(gateway) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /v1/slow HTTP/1.1\r\nHost: x\r\nAuthorization: {admin.headers['authorization']}\r\n\r\n".encode()
        )
        connector = edge.proxy._session.connector
        assert connector is not None
        async with asyncio.timeout(5):
            while not connector._acquired:
                await asyncio.sleep(0.01)
            writer.transport.abort()
            started = asyncio.get_running_loop().time()
            while connector._acquired:
                await asyncio.sleep(0.01)
    assert asyncio.get_running_loop().time() - started < 0.4  # the service itself would have had half a second


async def test_a_slow_reader_holds_little(
    gateway: FastAPI, admin: httpx.AsyncClient, edge: Edge, shop: FastAPI, serving: Any
) -> None:
    class Impatient(Protocol):
        unread_seconds = 0.4

    async with serving(gateway, http=Impatient) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        authorization = admin.headers["authorization"]
        writer.write(f"GET /v1/endless HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            await shop.state.left.wait()
        writer.transport.abort()
    assert shop.state.said < 30_000_000  # what the kernel's buffers take, and no more


@pytest.mark.parametrize(
    "name", ["X_Internal_Role", "x-internal-role", "X-PERENNIAL-SCOPE", "X_Forwarded_For", "Baggage"]
)
async def test_nobody_outside_speaks_for_the_gateway(admin: httpx.AsyncClient, shop: FastAPI, name: str) -> None:
    seen = (await admin.get("/v1/things/1", headers={name: "root"})).json()["headers"]
    assert "root" not in seen.values()


async def test_connection_cannot_strip_the_token(admin: httpx.AsyncClient, shop: FastAPI) -> None:
    answer = await admin.get("/v1/things/1", headers={"Connection": "Authorization, X-Request-Id, traceparent"})
    assert answer.json()["principal"][1] == "development"
    assert {"x-request-id", "traceparent"} <= set(answer.json()["headers"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1/things/%2e%2e", "/v1/things/..%2fme", "//v1/things/1", "/v1//things/1", "/v1/things/1/", "/v1/things/%00",
        "/v1/things/%c0%ae%c0%ae", "/v1/things/%ed%a0%80", "/v1/things/%5c..", "/v1/things/%0d%0aX:%20y",
        "/" + "a/" * 4000, "/v1/things/1%2f..%2f..", "/V1/things/1", "/v1;x/things/1",
    ],
)  # fmt: skip
async def test_path_tricks_reach_no_service(
    admin: httpx.AsyncClient, gateway: FastAPI, shop: FastAPI, path: str, serving: Any
) -> None:
    async with serving(gateway) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        authorization = admin.headers["authorization"]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()


@pytest.mark.parametrize("length", [10, 300_000, None])
async def test_a_slow_body_does_not_outlive_its_key(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, edge: Edge, upstream: Any, proxied: Any, serving: Any,
    length: int | None,
) -> None:  # fmt: skip
    leaked = (await admin.post("/v1/api-keys", json={"name": "leaked", "scopes": ["*"]})).json()
    app = upstream()
    done: list[int] = []
    app.add_middleware(Ended, done=done)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * ((length or 200_000) - 1)
        await asyncio.sleep(0.1)
        assert (await admin.delete(f"/v1/api-keys/{leaked['id']}")).status_code == 204
        yield b"x"

    headers = {"Authorization": f"Bearer {leaked['key']}", **({"Content-Length": str(length)} if length else {})}
    async with serving(app) as port, proxied(app, f"http://127.0.0.1:{port}", seconds=5):
        answer = await http.post("/v1/size", content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_key")
    assert done == [], "the service saw no whole body"


class Ended:
    """Notes bodies that came to their end."""

    def __init__(self, app: ASGIApp, done: list[int]) -> None:
        self._app = app
        self._done = done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noting() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body"):
                self._done.append(1)
            return message

        await self._app(scope, noting, send)


async def test_logs_hold_no_queries(admin: httpx.AsyncClient, upstream: Any, proxied: Any) -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"nonsense\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with capture_logs() as logs:
        async with server, proxied(upstream(), f"http://127.0.0.1:{port}"):
            answer = await admin.get("/v1/things/a?identifier=email:bob@example.com")
    assert answer.status_code == 502
    assert [entry["event"] for entry in logs] == ["proxy.failed"]
    assert not any(secret in str(logs) for secret in ("bob", "identifier", "Bearer"))
