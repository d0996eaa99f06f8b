"""Rejected events are judged again after a fix, and let in as what they were."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.runtime import Runtime
from perennial.gateway.testing import Send, Stored, track
from perennial.gateway.violations.service import merge_patch

PATH = "/v1/sources/development/violations"


async def replay(admin: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await admin.post(f"{PATH}/replay", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(admin: httpx.AsyncClient) -> list[int]:
    """Oldest first."""
    return sorted(item["id"] for item in (await admin.get(PATH)).json()["items"])


async def test_a_patched_event_comes_in_as_what_it_was(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await send(
        [track(userId=None, messageId="m7", properties={"total": 1.5}), track()],
        envelope={"context": {"app": {"name": "shop"}}, "integrations": {"All": False}},
    )
    (rejected,) = (await admin.get(PATH)).json()["items"]
    answer = await replay(admin, ids=[rejected["id"]], patch={"userId": "u7", "properties": {"channel": "web"}})
    assert answer == {"replayed": 1, "rejected": [], "remaining": 0, "after": rejected["id"], "dry_run": False}
    event = (await stored())[-1]
    assert (event.message_id, event.live, event.imported) == ("m7", False, False)
    assert event.received_at.isoformat().startswith(rejected["at"].rstrip("Z")[:23])
    body = json.loads(bytes(event.body))
    assert body["userId"] == "u7"
    assert body["properties"] == {"total": 1.5, "channel": "web"}
    assert body["context"]["app"] == {"name": "shop"}
    assert body["integrations"] == {"All": False}
    (item,) = (await admin.get(PATH)).json()["items"]
    assert item["replayed_at"] is not None
    assert (await admin.get(PATH, params={"replayed": "false"})).json()["items"] == []


async def test_a_dry_run_does_nothing(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await send([track(userId=None)])
    answer = await replay(admin, code="no_user_anon_id", patch={"userId": "u"}, dry_run=True)
    assert (answer["replayed"], answer["dry_run"]) == (1, True)
    assert await stored() == []
    assert (await admin.get(PATH, params={"replayed": "true"})).json()["items"] == []


async def test_what_is_still_wrong_stays(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await send([track(userId=None, messageId="a"), 7, track(type="odd", messageId="b")])
    first, second, third = await ids(admin)
    answer = await replay(admin, ids=[third, first, second, 999_999], patch={"userId": "u"})
    assert answer["replayed"] == 1
    assert [(one["id"], one["code"]) for one in answer["rejected"]] == [
        (second, "not_an_object"), (third, "unknown_type"), (999_999, "not_found"),
    ]  # fmt: skip
    assert [event.message_id for event in await stored()] == ["a"]


async def test_an_event_is_replayed_again_only_when_asked(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await send([track(userId=None)])
    (only,) = await ids(admin)
    patch = {"userId": "u"}
    await replay(admin, ids=[only], patch=patch)
    assert (await replay(admin, ids=[only], patch=patch))["rejected"][0]["code"] == "already_replayed"
    assert (await replay(admin, code="no_user_anon_id", patch=patch))["replayed"] == 0
    assert (await replay(admin, code="no_user_anon_id", patch=patch, again=True))["replayed"] == 1
    first, second = await stored()
    assert first.message_id == second.message_id, "identity counts it once"


@pytest.mark.parametrize("sent", [{}, {"messageId": None}, {"messageId": " "}])
async def test_an_event_without_an_id_keeps_the_one_it_would_have_had(
    admin: httpx.AsyncClient, send: Send, stored: Stored, sent: dict[str, Any]
) -> None:
    """The client sends the same request again after the fix: it is the same event still."""
    event = {"type": "track", "event": "New", "userId": "u", **sent}
    plan = {"events": {}, "unplanned_events": "quarantine"}
    await admin.put("/v1/sources/development/tracking-plan", json=plan, headers={"If-None-Match": "*"})
    assert (await send([track(), event])).json()["accepted"] == 0
    await admin.delete("/v1/sources/development/tracking-plan", headers={"If-Match": "*"})
    assert (await replay(admin, name="New"))["replayed"] == 1
    await send([track(), event])
    replayed, _, again = await stored()
    assert replayed.message_id == again.message_id


async def test_typed_paths_and_clocks_are_remembered(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    event = {"event": "A", "messageId": "m", "timestamp": "2026-01-01T10:00:00Z"}
    content = json.dumps({**event, "sentAt": "2026-01-01T11:00:00Z"})
    assert (await send(content=content, path="/v1/track")).status_code == 400
    await replay(admin, code="no_user_anon_id", patch={"anonymousId": "a"})
    (found,) = await stored()
    assert found.type == "track"
    assert (found.received_at - found.timestamp).total_seconds() == 3600
    assert found.live is False


async def test_a_filter_goes_on_behind_the_last(
    admin: httpx.AsyncClient, send: Send, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.gateway.violations.api.MOST", 2)
    await send([track(userId=None, messageId=str(n), event="odd" if n == 1 else "A") for n in range(5)])
    await send([7])
    after, seen = 0, []
    for left in (3, 1, 0):
        answer = await replay(admin, code="no_user_anon_id", after=after, patch={"userId": "u"})
        assert answer["remaining"] == left
        after = answer["after"]
        seen.append(answer["replayed"])
    assert seen == [2, 2, 1]
    assert [event.message_id for event in await stored()] == ["0", "1", "2", "3", "4"]


async def test_what_was_cut_cannot_be_replayed(admin: httpx.AsyncClient, send: Send) -> None:
    await send([track(properties={"x": "y" * 70_000})])
    (item,) = (await admin.get(PATH)).json()["items"]
    assert item["replayable"] is False
    answer = await replay(admin, ids=[item["id"]], patch={"properties": None})
    assert answer["rejected"][0]["code"] == "not_whole"
    assert "65536" in answer["rejected"][0]["message"]


async def test_an_event_too_large_can_be_made_smaller(admin: httpx.AsyncClient, send: Send, stored: Stored) -> None:
    await send([track(properties={"x": "y" * 40_000, "total": 7})])
    assert (await replay(admin, code="event_too_large", patch={"properties": {"x": None}}))["replayed"] == 1
    (found,) = await stored()
    assert json.loads(bytes(found.body))["properties"] == {"total": 7}


async def test_a_replay_is_audited_without_its_values(
    admin: httpx.AsyncClient, send: Send, live_runtime: Runtime
) -> None:
    await send([track(userId=None)])
    (only,) = await ids(admin)
    await replay(admin, ids=[only], patch={"userId": "ada@shop.example"})
    async with live_runtime.database.read() as session:
        statement = text("SELECT detail FROM audit WHERE action = 'source.violations_replayed'")
        detail = (await session.execute(statement)).scalar_one()
    assert detail == {"count": 1, "first": only, "last": only, "patched": ["userId"]}


async def test_the_broker_must_have_them_first(admin: httpx.AsyncClient, send: Send, live_runtime: Runtime) -> None:
    await send([track(userId=None)])
    (only,) = await ids(admin)
    await live_runtime.js.delete_stream("INGEST")
    answer = await admin.post(f"{PATH}/replay", json={"ids": [only], "patch": {"userId": "u"}})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert (await admin.get(PATH, params={"replayed": "true"})).json()["items"] == []


BAD: list[tuple[Any, str]] = [
    ({}, "ids"),
    ({"ids": []}, "ids"),
    ({"ids": ["x"]}, "ids"),
    ({"ids": [0]}, "ids"),
    ({"ids": [2**63]}, "ids"),
    ({"ids": list(range(1, 1002))}, "ids"),
    ({"ids": [1], "code": "x"}, "ids"),
    ({"code": ""}, "code"),
    ({"since": "x"}, "since"),
    ({"code": "x", "after": -1}, "after"),
    ({"code": "x", "patch": []}, "patch"),
    ({"code": "x", "patch": {"a": "\0"}}, "patch"),
    ({"code": "x", "patch": {"a": "y" * 40_000}}, "patch"),
    ({"code": "x", "dry_run": "yes"}, "dry_run"),
    ({"code": "x", "again": 1}, "again"),
    ({"code": "x", "more": 1}, "more"),
    (7, "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD)
async def test_bad_replays_name_the_field(admin: httpx.AsyncClient, body: Any, field: str) -> None:
    answer = await admin.post(f"{PATH}/replay", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert field in answer.json()["message"]


async def test_a_deep_patch_is_no_surprise(admin: httpx.AsyncClient) -> None:
    deep = '{"a":' * 3000 + "1" + "}" * 3000
    answer = await admin.post(
        f"{PATH}/replay", content=f'{{"code":"x","patch":{deep}}}', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert (await admin.post("/v1/sources/none/violations/replay", json={"code": "x"})).status_code == 404


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_as_in_the_appendix_of_rfc_7396(target: Any, patch: Any, merged: Any) -> None:
    assert merge_patch(target, patch) == merged
