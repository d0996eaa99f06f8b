"""What SDKs load before they send."""

import httpx
import pytest

from perennial.gateway.testing import WRITE_KEY


@pytest.mark.parametrize("slash", ["", "/"])
async def test_settings_of_analytics_next(http: httpx.AsyncClient, slash: str) -> None:
    answer = await http.get(f"/v1/projects/{WRITE_KEY}/settings{slash}")
    found = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=120"
    assert list(found["integrations"]) == ["Segment.io"], "a second one would make the SDK load code from elsewhere"
    segment = found["integrations"]["Segment.io"]
    assert (segment["apiKey"], segment["apiHost"], segment["protocol"]) == (WRITE_KEY, "gateway.test/v1", "http")
    assert found["metrics"] == {"sampleRate": 0}, "or it posts counters to a third party"


async def test_settings_of_an_unknown_key(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/projects/wk_unknown/settings")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_write_key")


async def test_a_host_that_is_none(http: httpx.AsyncClient) -> None:
    answer = await http.get(f"/v1/projects/{WRITE_KEY}/settings", headers={"Host": 'x"/evil'})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_host")


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
async def test_source_config_of_rudder_js(http: httpx.AsyncClient, path: str) -> None:
    by_query = await http.get(path, params={"writeKey": WRITE_KEY, "p": "cdn", "v": "3", "build": "modern"})
    by_header = await http.get(path, auth=(WRITE_KEY, ""))
    assert by_query.json() == by_header.json()
    source = by_query.json()["source"]
    assert (source["id"], source["enabled"], source["destinations"]) == ("development", True, [])
    assert source["config"]["statsCollection"]["metrics"] == {"enabled": False}


async def test_source_config_needs_a_key_but_its_probe_does_not(http: httpx.AsyncClient) -> None:
    assert (await http.get("/sourceConfig/")).status_code == 401
    probe = await http.head("/sourceConfig/", params={"view": "ad"})
    assert (probe.status_code, probe.content) == (200, b"")


async def test_a_disabled_source_silences_its_sdk(http: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await admin.post("/v1/sources/development/disable")
    found = (await http.get("/sourceConfig/", params={"writeKey": WRITE_KEY})).json()
    assert found["source"]["enabled"] is False
    assert (await http.get(f"/v1/projects/{WRITE_KEY}/settings")).status_code == 404
