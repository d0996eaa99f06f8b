"""Browsers may read every answer of a tracking path, errors included."""

import httpx
import pytest

from perennial.gateway.testing import WRITE_KEY, Send, track
from perennial.gateway.tracking.api import BATCH_PATHS, DISCARDED_PATHS, SINGLE_PATHS

PATHS = [*BATCH_PATHS, *SINGLE_PATHS, *DISCARDED_PATHS, "/v1/projects/wk_x/settings", "/sourceConfig", "/sourceConfig/"]


@pytest.mark.parametrize("path", PATHS)
async def test_preflight_needs_no_key(http: httpx.AsyncClient, path: str) -> None:
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = await http.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, HEAD, OPTIONS"
    assert answer.headers["access-control-max-age"] == "86400"
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "x-retry-count", "x-write-key", "sentat", "anonymousid"} <= set(allowed)


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_readable(http: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "GET", "DELETE"):
        answer = await http.request(method, path, content=b"{", headers={"Origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == "Retry-After, RateLimit, RateLimit-Policy"
        assert not answer.is_redirect


async def test_a_surprise_is_readable_too(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*_: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("perennial.gateway.tracking.service.events.judge", surprise)
    answer = await send([track()])
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "surprise" not in answer.text
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_origins_of_a_source(send: Send, admin: httpx.AsyncClient) -> None:
    body = {"name": "web", "kind": "client", "origins": ["https://shop.example"]}
    made = (await admin.post("/v1/sources", json=body)).json()
    key = (made["write_keys"][0]["key"], "")
    assert (await send([track()], auth=key, headers={"Origin": "https://shop.example"})).status_code == 200
    assert (await send([track()], auth=key)).status_code == 200, "apps and servers send no Origin"
    answer = await send([track()], auth=key, headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
    assert (await send([track()], auth=(WRITE_KEY, ""), headers={"Origin": "https://any.example"})).status_code == 200
