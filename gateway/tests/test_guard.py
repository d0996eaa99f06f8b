"""What holds for every request."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from perennial.gateway import sunset
from perennial.gateway.guard import Guard

PATHS = ["/v1/batch", "/v1/sources", "/v1/nothing", "/healthz", "/v1/me/things", "/openapi.json"]


async def test_every_answer_has_a_request_id(http: httpx.AsyncClient) -> None:
    first, second = await http.get("/healthz"), await http.get("/v1/nothing")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_a_harmless_request_id_is_kept(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz", headers={"X-Request-Id": "abc-1.2:3"})).headers["x-request-id"] == "abc-1.2:3"
    for forged in ("a b", "x" * 200, "ä", '{"level":"error"}'):
        answer = await http.get("/healthz", headers=[(b"X-Request-Id", forged.encode())])
        assert answer.headers["x-request-id"] != forged


@pytest.mark.parametrize("path", PATHS)
async def test_oversized_heads(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"X-Large": "x" * 40_000})
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")
    many = [(f"X-{number}", "1") for number in range(120)]
    assert (await http.get(path, headers=many)).status_code == 431
    answer = await http.get(path, params={"x": "y" * 9000})
    assert (answer.status_code, answer.json()["code"]) == (414, "uri_too_long")


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_bears_what_all_answers_bear(http: httpx.AsyncClient, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE", "DELETE"):
        answer = await http.request(method, path)
        assert answer.status_code < 500
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers.get_list("x-request-id")) == len(answer.headers.get_list("cache-control")) == 1
        if path != "/openapi.json":
            assert answer.headers["cache-control"] == "no-store"
        if answer.status_code >= 400 and method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["instance"] == f"/requests/{answer.headers['x-request-id']}"


FAULTS: list[tuple[list[tuple[str, str]], str]] = [
    ([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], "header_repeated"),
    ([("authorization", "Bearer a"), ("AUTHORIZATION", "Bearer a")], "header_repeated"),
    ([("Host", "b")], "header_repeated"),
    ([("Content-Encoding", "gzip"), ("Content-Encoding", "identity")], "header_repeated"),
    ([("Transfer-Encoding", "gzip, chunked")], "invalid_transfer_encoding"),
    ([("Transfer-Encoding", "identity")], "invalid_transfer_encoding"),
    ([("Connection", "Upgrade"), ("Upgrade", "websocket")], "upgrade_unsupported"),
    ([("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Content-Length", "2")], "upgrade_unsupported"),
]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/sources", "/v1/segments"])
async def test_what_is_out_of_form(http: httpx.AsyncClient, path: str) -> None:
    for headers, code in FAULTS:
        answer = await http.get(path, headers=[("Host", "a"), *headers])
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_an_offer_to_upgrade_is_ignored(http: httpx.AsyncClient) -> None:
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    assert (await http.get("/healthz", headers=headers)).status_code == 200


async def fails(_: Request) -> Response:
    structlog.get_logger().warning("here")
    raise RuntimeError("\x1b[31m\r\n{}")


async def old(_: Request) -> Response:
    return PlainTextResponse("still here", headers={"Link": '</x>; rel="next"', "Cache-Control": "max-age=5"})


@pytest.fixture
async def small() -> AsyncIterator[httpx.AsyncClient]:
    """The guard in front of made-up routes."""
    going = sunset.Deprecated(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "https://example.com/gone"
    )
    app = Starlette(routes=[Route("/fails", fails), Route("/v1/old/{id}", old), Route("/v1/new/{id}", old)])

    guard = Guard(_named(app.router), {("GET", "/v1/old/{id}"): going})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://gateway.test") as opened:
        yield opened


def _named(app: ASGIApp) -> ASGIApp:
    """What FastAPI and the proxy do: name the route that answers."""

    async def naming(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route(scope["path"].replace("/42", "/{id}"), old)
        await app(scope, receive, send)

    return naming


async def test_an_unexpected_error_can_be_found_by_its_id(
    small: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await small.get("/fails")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["instance"] == f"/requests/{answer.headers['x-request-id']}"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_routes_that_will_go_say_so(small: httpx.AsyncClient, method: str) -> None:
    answer = await small.request(method, "/v1/old/42")
    assert answer.headers["deprecation"] == "@1767225600"
    assert answer.headers["sunset"] == "Thu, 31 Dec 2026 23:59:59 GMT"
    assert '<https://example.com/gone>; rel="sunset"' in answer.headers["link"]
    assert answer.headers["cache-control"] == "max-age=5"
    assert "deprecation" not in (await small.request(method, "/v1/new/42")).headers
    assert "deprecation" not in (await small.post("/v1/old/42")).headers
