"""Rules over HTTP: who may, what is masked, versions, and what is refused."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from perennial.common.ids import uuid7
from perennial.common.testing.events import identified

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Measure = Callable[..., Awaitable[None]]
MakeRule = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = "/v1/quality/rules"


async def test_values_are_masked_for_whoever_does_not_see_the_trait(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    await hear(*[identified({"size": 36 + n % 10}, via=uuid7(), at=NOON) for n in range(40)])
    made = await rule(kind="outlier", key="size", action="quarantine")
    await measure()
    await hear(identified({"size": 912}, via=uuid7(), at=NOON))
    headers = {"Authorization": f"Bearer {token('quality:read', 'quality:write', fields=())}"}
    seen = (await client.get("/v1/quality/findings", headers=headers)).text
    assert "912" not in seen
    assert "****" in seen
    hidden = (await client.get(f"{RULES}/{made['id']}", headers=headers)).json()["baseline"]
    assert (hidden["high"], hidden["count"]) == (None, 40)
    body = {"kind": "outlier", "name": "x", "key": "size"}
    assert (await client.post(RULES, json=body, headers=headers)).status_code == 403
    reader = {"Authorization": f"Bearer {token('quality:read')}"}
    assert (await client.post(RULES, json=body, headers=reader)).status_code == 403
    nobody = {"Authorization": f"Bearer {token('customers:read')}"}
    assert (await client.get(RULES, headers=nobody)).status_code == 403
    assert (await get("/v1/quality/findings"))["items"][0]["value"] == 912


async def test_a_rule_has_versions_and_is_changed_by_who_has_seen_it(
    client: httpx.AsyncClient, get: Show, rule: MakeRule
) -> None:
    made = await rule(kind="missing", key="firstName", below=0.5)
    assert (made["key"], made["version"]) == ("first_name", 1)
    where, body = f"{RULES}/{made['id']}", {"kind": "missing", "name": "b", "key": "first_name", "below": 0.7}
    assert (await client.put(where, json=body)).status_code == 428
    assert (await client.put(where, json=body, headers={"If-Match": '"9"'})).status_code == 412
    other = {"kind": "duplicate", "name": "b", "key": "first_name"}
    assert (await client.put(where, json=other, headers={"If-Match": '"1"'})).status_code == 422
    changed = await client.put(where, json=body, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["below"]) == (200, '"2"', 0.7)
    assert (await client.delete(where, headers={"If-Match": '"2"'})).status_code == 204
    assert [one["version"] for one in (await get(f"{where}/versions"))["items"]] == [3, 2, 1]
    assert (await get(RULES))["items"] == []
    assert (await client.put(where, json=body, headers={"If-Match": "*"})).status_code == 404
    assert (await get(where))["archived"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"kind": "outlier"}, "key:"),
        ({"kind": "outlier", "key": "a", "below": 0.5}, "below: not of a rule of kind outlier"),
        ({"kind": "outlier", "key": "a", "factor": 0}, "factor"),
        ({"kind": "outlier", "key": "phone"}, "sealed values cannot be compared"),
        ({"kind": "duplicate", "key": "a", "action": "clip"}, "clip is not for"),
        ({"kind": "missing", "key": "a", "below": 0.5, "action": "null"}, "null is not for"),
        ({"kind": "missing", "key": "a"}, "below"),
        ({"kind": "missing", "key": "a", "below": 1.5}, "between 0 and 1"),
        ({"kind": "missing", "key": "a", "below": 0.5, "recover": 0.4}, "recover"),
        ({"kind": "threshold", "below": 50}, "measure"),
        ({"kind": "threshold", "measure": "score", "below": 5, "above": 6}, "one of the two"),
        ({"kind": "threshold", "measure": "late", "above": 0.1, "key": "a"}, "sources only"),
        ({"kind": "threshold", "measure": "late", "above": "NaN"}, "above"),
        ({"kind": "outlier", "key": "a\u0000b"}, "NUL"),
        ({"kind": "outlier", "key": "a", "colour": 1}, "colour"),
    ],
    ids=range(15),
)
async def test_a_rule_that_means_nothing_is_refused(client: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    answer = await client.post(RULES, json={"name": "x", **body})
    assert answer.status_code == 422, answer.text
    assert said in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/quality/findings?cursor=x", 400),
        ("/v1/quality/findings?rule=x", 422),
        ("/v1/quality/findings?state=x", 422),
        ("/v1/quality/report?since=2026-02-30", 422),
        ("/v1/quality/report?since=2026-03-01&until=2026-02-01", 422),
        ("/v1/quality/report?until=0001-01-01", 200),
        ("/v1/quality/report?format=xml", 422),
        ("/v1/quality/report?cursor=WyJhIl0", 400),
        ("/v1/quality/report?source=%00", 422),
        ("/v1/quality/sources/nowhere", 404),
        ("/v1/quality/sources?cursor=WyJhIiwgImIiXQ", 400),
        ("/v1/quality/rules?cursor=WzFd", 400),
        (f"/v1/quality/rules/{UUID(int=1)}", 404),
        ("/v1/quality/sources/x?days=0", 422),
    ],
    ids=range(14),
)
async def test_what_is_asked_wrongly_is_told_so(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(path)
    assert answer.status_code == status, answer.text
