"""What of rejected events is shown, to whom, and how it is counted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.runtime import Runtime
from perennial.gateway.testing import Send, track
from perennial.gateway.violations.models import Violation
from perennial.gateway.violations.schemas import ViolationOut

PATH = "/v1/sources/development/violations"


async def listed(admin: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    answer = await admin.get(PATH, params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_violations_are_listed_newest_first(admin: httpx.AsyncClient, send: Send) -> None:
    await send([7, track(userId=None, messageId="m7", event="Viewed Product"), track()])
    answer = await admin.get(PATH, params={"limit": 1})
    assert answer.headers["cache-control"] == "no-store"
    (newest,) = answer.json()["items"]
    assert (newest["code"], newest["message_id"]) == ("no_user_anon_id", "m7")
    assert (newest["type"], newest["name"]) == ("track", "Product Viewed")
    assert (newest["outcome"], newest["replayable"], newest["replayed_at"]) == ("rejected", True, None)
    cursor = answer.json()["next_cursor"]
    (oldest,) = await listed(admin, cursor=cursor)
    assert (oldest["code"], oldest["type"], oldest["name"]) == ("not_an_object", None, None)


async def test_filters(admin: httpx.AsyncClient, send: Send) -> None:
    named = track(type="page", name="Home", userId=None)
    await send([7, track(userId=None, event="A"), track(userId=None, event="B"), named])
    assert [item["name"] for item in await listed(admin, code="no_user_anon_id")] == ["Home", "B", "A"]
    assert [item["type"] for item in await listed(admin, name="Home")] == ["page"]
    assert len(await listed(admin, outcome="rejected", replayed="false")) == 4
    assert await listed(admin, outcome="omitted") == []
    assert await listed(admin, replayed="true") == []
    now = datetime.now(UTC)
    assert len(await listed(admin, since=(now - timedelta(minutes=1)).isoformat(), until=now.isoformat())) == 4
    assert await listed(admin, since=now.isoformat()) == []
    assert await listed(admin, until="2020-01-01T00:00:00Z") == []


BAD = [
    ("?cursor=x", 400, "cursor"),
    ("?cursor=WzEsMl0", 400, "cursor"),
    ("?cursor=WyJ4Il0", 400, "cursor"),
    ("?limit=0", 422, "limit"),
    ("?limit=1000", 422, "limit"),
    ("?since=yesterday", 422, "since"),
    ("?since=2026-01-01T00:00:00", 422, "since"),
    ("?until=0001-01-01T00:00:00%2B14:00", 422, "until"),
    ("?outcome=lost", 422, "outcome"),
    ("?replayed=perhaps", 422, "replayed"),
    ("?code=", 422, "code"),
    ("?name=a%00b", 422, "name"),
    ("/summary?since=x", 422, "since"),
    ("/summary?until=2026-02-30", 422, "until"),
]


@pytest.mark.parametrize(("query", "status", "field"), BAD)
async def test_bad_queries_name_the_parameter(admin: httpx.AsyncClient, query: str, status: int, field: str) -> None:
    answer = await admin.get(PATH + query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert field in answer.json()["message"]


@pytest.mark.parametrize("path", ["violations", "violations/summary", "tracking-plan", "tracking-plan/versions"])
async def test_sources_that_do_not_exist(admin: httpx.AsyncClient, path: str) -> None:
    answer = await admin.get(f"/v1/sources/none/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def shown(raw: str, *fields: str) -> str | None:
    row = Violation(
        id=1, code="c", message="m", outcome="rejected", raw=raw, whole=True, at=datetime.now(UTC), message_id=None
    )
    return ViolationOut.of(row, Principal("api_key", "k", frozenset({"sources:read"}), None, frozenset(fields))).raw


def test_personal_data_is_masked() -> None:
    raw = '{"type":"identify","traits":{"email":"ada@shop.example","city":"Paris"},"userId":"u"}'
    masked = shown(raw)
    assert masked is not None
    assert "ada@" not in masked
    assert "Paris" in masked
    assert "ada@shop.example" in (shown(raw, "email") or "")
    assert shown(raw, "*") == raw


async def test_names_and_ids_that_clients_make_up_are_masked_too(
    admin: httpx.AsyncClient, http: httpx.AsyncClient, send: Send
) -> None:
    plan = {"events": {"Pay": {"schema": {"additionalProperties": False}}}, "invalid": "quarantine"}
    path = "/v1/sources/development/tracking-plan"
    assert (await admin.put(path, json=plan, headers={"If-None-Match": "*"})).status_code == 200
    await send(
        [
            track(type="page", name="Page of ada@shop.example", userId=None, messageId="ada@shop.example/1"),
            track(event="Pay", properties={"13912345678 paid": 1}),
            track(type="ada@shop.example"),
        ]
    )
    made = await admin.post("/v1/api-keys", json={"name": "developer", "scopes": ["sources:*"]})
    blind = {"Authorization": f"Bearer {made.json()['key']}"}
    replay = {"since": "2020-01-01T00:00:00Z", "dry_run": True}
    answers = [
        await http.get(PATH, headers=blind),
        await http.get(f"{PATH}/summary", headers=blind),
        await http.post(f"{PATH}/replay", headers=blind, json=replay),
    ]
    for answer in answers:
        assert answer.status_code == 200
        assert "ada@" not in answer.text
        assert "13912345678" not in answer.text
    clear = (await admin.get(PATH)).text
    assert "Page of ada@shop.example" in clear
    assert "13912345678 paid" in clear


@pytest.mark.parametrize("raw", ['{"email":"ada@shop.exa', "7", '["ada@shop.example"]', "[" * 5000, '{"a":1e999}'])
def test_what_cannot_be_read_is_shown_to_those_who_see_all(raw: str) -> None:
    assert shown(raw, "personal", "sensitive") is None
    assert shown(raw, "*") == raw


async def test_the_summary_counts_by_code_name_and_day(
    admin: httpx.AsyncClient, send: Send, live_runtime: Runtime
) -> None:
    await send([7, *[track(userId=None, event="A")] * 3, track(userId=None, event="B")])
    await send([7, track(userId=None, event="A")])
    async with live_runtime.database.write() as session:
        await session.execute(
            text("""INSERT INTO violation_count (source_id, day, code, outcome, name, count)
                    VALUES ('development', '2026-01-01', 'no_user_anon_id', 'rejected', 'A', 5)""")
        )
    today = datetime.now(UTC).date().isoformat()
    said = (await admin.get(f"{PATH}/summary")).json()
    assert said["total"] == 12
    first = said["series"][0]
    assert (first["code"], first["name"], first["count"]) == ("no_user_anon_id", "A", 9)
    assert first["days"] == [{"day": "2026-01-01", "count": 5}, {"day": today, "count": 4}]
    assert {(one["code"], one["name"], one["count"]) for one in said["series"][1:]} == {
        ("not_an_object", None, 2),
        ("no_user_anon_id", "B", 1),
    }
    assert (await admin.get(f"{PATH}/summary", params={"since": today})).json()["total"] == 7
    assert (await admin.get(f"{PATH}/summary", params={"until": "2026-01-01"})).json()["total"] == 5
