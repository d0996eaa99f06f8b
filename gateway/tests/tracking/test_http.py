"""The tracking API over HTTP, down to the stream."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from perennial.common.service import ServiceRuntime
from perennial.gateway.testing import Send, Stored, messages, track
from perennial.gateway.tracking.api import BATCH_PATHS, DISCARDED_PATHS, SINGLE_PATHS

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("path", BATCH_PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_batch_path(send: Send, stored: Stored, path: str, slash: str) -> None:
    answer = await send([track(messageId="1"), track(messageId="2")], path=path + slash)
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "accepted": 2, "rejected": []}
    assert [event.message_id for event in await stored()] == ["1", "2"]


@pytest.mark.parametrize("path", SINGLE_PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_single_path(send: Send, stored: Stored, path: str, slash: str) -> None:
    event = {"userId": "u", "event": "X", "groupId": "g", "previousId": "p", "messageId": "m"}
    answer = await send(content=json.dumps(event), path=path + slash)
    assert answer.status_code == 200
    assert answer.json()["accepted"] == 1
    (found,) = await stored()
    assert (found.type, found.message_id) == (SINGLE_PATHS[path], "m")


@pytest.mark.parametrize("path", ["/api/s/track", "/api/s/s2s/track"])
async def test_jitsu_js(http: httpx.AsyncClient, stored: Stored, path: str) -> None:
    """Its key is `id:secret` in a header, and masked in the body."""
    event = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": "a1",
        "userId": None,
        "messageId": "1q2w3e4r",
        "writeKey": "wk_test:***",
        "timestamp": "2026-03-01T11:00:00.000Z",
        "sentAt": "2026-03-01T12:00:00.000Z",
        "properties": {"sku": "s1"},
        "context": {"library": {"name": "@jitsu/js", "version": "1.11.0"}, "clientIds": {"fbp": "x"}},
    }
    answer = await http.post(path, json=event, headers={"X-Write-Key": "wk_test:secret"})
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    (found,) = await stored()
    assert (found.type, found.name, found.message_id) == ("track", "Product Viewed", "1q2w3e4r")
    assert found.sent_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert json.loads(bytes(found.body)) == event


async def test_headers_of_rudder_js(send: Send, stored: Stored) -> None:
    event = {"userId": "u", "event": "X", "originalTimestamp": "2026-03-01T11:00:00Z"}
    headers = {"AnonymousId": "YTE=", "SentAt": "2026-03-01T12:00:00Z", "Rsa-Retry-Attempt": "1", "X-Retry-Count": "3"}
    assert (await send(content=json.dumps(event), path="/v1/track", headers=headers)).status_code == 200
    (found,) = await stored()
    assert found.sent_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert found.received_at - found.timestamp == timedelta(hours=1)
    assert b"anonymousId" not in bytes(found.body), "a hint for the order of requests, and nobody's name"


async def test_when_a_batch_was_sent_is_kept_with_each_event(send: Send, stored: Stored) -> None:
    await send([track(messageId="1"), track(messageId="2")], envelope={"sentAt": "2026-03-01T12:00:00Z"})
    assert {event.sent_at for event in await stored()} == {datetime(2026, 3, 1, 12, tzinfo=UTC)}


@pytest.mark.parametrize("path", DISCARDED_PATHS)
async def test_counters_of_sdks_are_discarded(http: httpx.AsyncClient, stored: Stored, path: str) -> None:
    answer = await http.post(path, content=b'{"series":[]}')
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await stored() == []


async def test_one_request_is_one_message_and_a_cloud_event(send: Send, live_runtime: ServiceRuntime) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await send([track(messageId=str(n)) for n in range(100)], headers={"traceparent": parent})
    (message,) = await messages(live_runtime)
    headers = message.headers or {}
    assert message.subject == headers["ce-type"] == "gateway.events.accepted.v1"
    assert headers["ce-source"] == "/sources/development"
    assert headers["ce-specversion"] == "1.0"
    assert headers["traceparent"].split("-")[1] == parent.split("-")[1]
    assert "Nats-Msg-Id" not in headers


async def test_a_trace_begins_here_if_the_client_has_none(send: Send, live_runtime: ServiceRuntime) -> None:
    await send([track()], headers={"traceparent": "nonsense"})
    (message,) = await messages(live_runtime)
    assert int((message.headers or {})["traceparent"].split("-")[1], 16) > 0


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/png", None]
)
async def test_any_content_type(send: Send, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert (await send([track()], headers=headers)).status_code == 200


async def test_gzip_and_chunks(send: Send, stored: Stored) -> None:
    zipped = gzip.compress(json.dumps({"batch": [track()]}).encode())

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(zipped), 10):
            yield zipped[start : start + 10]

    assert (await send(content=chunks(), headers={"content-encoding": "gzip"})).status_code == 200
    assert len(await stored()) == 1


@pytest.mark.parametrize(
    "carry",
    [
        {"auth": ("wk_test", "")},
        {"headers": {"x-write-key": "wk_test:secret"}},
        {"envelope": {"writeKey": "wk_test"}},
        {"path": "/beacon/v1/batch?writeKey=wk_test"},
    ],
)
async def test_every_place_of_the_key(send: Send, carry: dict[str, Any]) -> None:
    assert (await send([track()], **{"auth": None, **carry})).status_code == 200


async def test_the_first_event_may_carry_the_key(send: Send) -> None:
    assert (await send([track(writeKey="wk_test"), track()], auth=None)).status_code == 200


@pytest.mark.parametrize("auth", [None, ("wk_unknown", ""), ("psk_test_secret", "")])
async def test_no_key_no_events(send: Send, stored: Stored, auth: Any) -> None:
    answer = await send([track()], auth=auth)
    found = answer.json()
    assert answer.status_code == found["status"] == 401
    assert found["code"] == "invalid_write_key"
    assert "www-authenticate" not in answer.headers, "a browser would ask its user for a password"
    assert await stored() == []


async def test_an_empty_batch_is_fine(send: Send, stored: Stored) -> None:
    answer = await send([])
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)
    assert await stored() == []


async def test_a_large_single_event(send: Send) -> None:
    fits = json.dumps(track(properties={"x": "y" * 32_000}))
    assert (await send(content=fits, path="/v1/t")).status_code == 200
    answer = await send(content=json.dumps(track(properties={"x": "y" * 34_000})), path="/v1/t")
    assert (answer.status_code, answer.json()["code"]) == (413, "event_too_large")
    answer = await send(content=json.dumps(track(properties={"x": "y" * 36_000})), path="/v1/t")
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_a_full_batch_of_the_largest_size(send: Send, stored: Stored, live_runtime: ServiceRuntime) -> None:
    """segment-python really sends 507,769 bytes."""
    events = [track(messageId=str(n), properties={"x": "y" * 30_000}) for n in range(16)]
    rest = 511_900 - len(json.dumps({"batch": events}))
    events.append(track(messageId="last", properties={"x": "y" * (rest - 120)}))
    assert (await send(events)).json()["accepted"] == 17
    assert len(await stored()) == 17
    assert len(await messages(live_runtime)) == 1


async def test_thousands_of_tiny_events_still_fit(send: Send, stored: Stored) -> None:
    events = [{"type": "track", "event": "E" * 60, "userId": "u", "messageId": f"{n:0>90}"} for n in range(2300)]
    content = json.dumps({"batch": events}, separators=(",", ":"))
    assert (await send(content=content)).json()["accepted"] == 2300
    assert len({event.message_id for event in await stored()}) == 2300


async def test_imports(send: Send, stored: Stored, admin: httpx.AsyncClient) -> None:
    history = track(timestamp="2017-01-02T03:04:05Z")
    assert (await send([history], envelope={"context": {"import": True}})).status_code == 200
    (found,) = await stored()
    assert (found.imported, found.live, found.timestamp) == (True, False, datetime(2017, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert b"import" not in bytes(found.body)
    made = (await admin.post("/v1/sources", json={"name": "web"})).json()
    answer = await send([history], envelope={"context": {"import": True}}, auth=(made["write_keys"][0]["key"], ""))
    assert (answer.status_code, answer.json()["code"]) == (403, "import_not_allowed")
    assert "context.import" in answer.json()["message"]


async def test_nul_and_lone_surrogates_are_cleaned(send: Send, stored: Stored) -> None:
    content = rb'{"batch":[{"type":"track","userId":"u\u0000","event":"\ud800X","properties":{"\u0000k":"\udc00"}}]}'
    assert (await send(content=content)).json()["accepted"] == 1
    (found,) = await stored()
    assert json.loads(bytes(found.body)) == {
        "type": "track",
        "userId": "u",
        "event": "\ufffdX",
        "properties": {"k": "\ufffd"},
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/v1/batch")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_concurrent_requests_all_arrive(send: Send, stored: Stored) -> None:
    answers = await asyncio.gather(*(send([track(messageId=str(n))]) for n in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert {event.message_id for event in await stored()} == {str(n) for n in range(200)}


async def test_the_database_may_be_away(
    send: Send, stored: Stored, live_runtime: ServiceRuntime, monkeypatch: Any
) -> None:
    """Keys are in memory: ingestion goes on; only the copy of what was rejected is missing, and the client is told."""

    def away() -> Any:
        raise OSError("no database")

    monkeypatch.setattr(live_runtime.database, "write", away)
    answer = await send([track(), 7])
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert len(await stored()) == 1
