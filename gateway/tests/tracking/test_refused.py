"""What is refused, whole requests and single events: said with the field at fault, and kept."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.service import ServiceRuntime
from perennial.gateway.testing import Send, Stored, track
from perennial.gateway.violations.jobs import sweep_violations

PROBLEM = "application/problem+json"


async def violations(runtime: ServiceRuntime) -> list[Any]:
    async with runtime.database.read() as session:
        return list((await session.execute(text("SELECT * FROM violation ORDER BY id"))).all())


async def test_a_bad_event_is_rejected_alone_and_kept(send: Send, stored: Stored, live_runtime: ServiceRuntime) -> None:
    answer = await send([track(messageId="1"), track(messageId="2", userId=None), 7])
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "messageId": "2",
                "code": "no_user_anon_id",
                "message": "userId or anonymousId is required",
            },
            {"index": 2, "messageId": None, "code": "not_an_object", "message": "the event must be a JSON object"},
        ],
    }
    assert [event.message_id for event in await stored()] == ["1"]
    first, second = await violations(live_runtime)
    assert (first.source_id, first.code, first.message_id) == ("development", "no_user_anon_id", "2")
    assert json.loads(first.raw)["userId"] is None
    assert (second.raw, second.message_id) == ("7", None)


async def test_violations_are_cut_and_clean(send: Send, live_runtime: ServiceRuntime) -> None:
    await send([track(properties={"x": "é" * 40_000, "y": "\0\ud800"})])
    (violation,) = await violations(live_runtime)
    assert violation.code == "event_too_large"
    assert len(violation.raw.encode()) <= 64 * 1024


async def test_violations_are_kept_for_thirty_days(send: Send, live_runtime: ServiceRuntime) -> None:
    await send([7, 8])
    async with live_runtime.database.write() as session:
        await session.execute(text("UPDATE violation SET at = now() - interval '31 days' WHERE raw = '7'"))
    await sweep_violations(live_runtime)
    assert [violation.raw for violation in await violations(live_runtime)] == ["8"]


BAD_REQUESTS = [
    (b"nonsense", 400, "invalid_json", "body"),
    (b"[]", 400, "invalid_json", "body"),
    (b'{"batch":"x"}', 400, "invalid_batch", "batch"),
    (b"{}", 400, "invalid_batch", "batch"),
    (b'{"batch":[],"context":[]}', 400, "invalid_context", "context"),
    (b'{"batch":[],"context":{"import":1}}', 400, "invalid_context", "context.import"),
    (b'{"batch":[],"integrations":"all"}', 400, "invalid_integrations", "integrations"),
    (b'{"batch":[' + b"[" * 200_000, 400, "too_deep", "body"),
    (b'{"batch":["\xff"]}', 400, "invalid_json", "body"),
    (b" " * 512_001, 413, "payload_too_large", "body"),
    (b'{"batch":[' + b",".join([b"1"] * 2501) + b"]}", 413, "too_many_events", "batch"),
]


@pytest.mark.parametrize(("content", "status", "code", "field"), BAD_REQUESTS)
async def test_bad_requests_name_the_field(send: Send, content: bytes, status: int, code: str, field: str) -> None:
    answer = await send(content=content)
    found = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert {"type", "title", "status", "detail", "instance", "code", "message"} <= set(found)
    assert (found["code"], found["status"], found["success"]) == (code, status, False)
    assert field in found["message"]
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_bad_single_event_is_a_bad_request_and_kept(send: Send, live_runtime: ServiceRuntime) -> None:
    answer = await send(content=b'{"userId":"u"}', path="/v1/track")
    assert (answer.status_code, answer.json()["code"]) == (400, "missing_event")
    assert [violation.code for violation in await violations(live_runtime)] == ["missing_event"]
