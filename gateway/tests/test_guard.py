"""What holds for every request."""

import httpx
import pytest


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
