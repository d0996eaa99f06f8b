"""Rules act on what comes in, keep what was said, and can be undone; on what is stored they act on request only."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Measure = Callable[..., Awaitable[None]]
MakeRule = Callable[..., Awaitable[Any]]
Operate = Callable[[str], Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = "/v1/quality/rules"
EVERYTHING = text("SELECT via, key, source, value, at, message_id, first_value, first_at FROM trait ORDER BY 1, 2, 3")


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


async def shown(get: Show, via: UUID) -> Any:
    return (await get(f"/v1/customers/{via}"))["traits"]


async def findings(get: Show, **wanted: Any) -> list[Any]:
    found: list[Any] = (await get("/v1/quality/findings", **wanted))["items"]
    return found


@pytest.fixture
async def usual(hear: Hear) -> None:
    """Sizes between 36 and 45."""
    await hear(*[identified({"size": 36 + n % 10}, via=uuid7(), at=at(0)) for n in range(40)])


@pytest.mark.parametrize("method", ["iqr", "mad"])
@pytest.mark.parametrize(
    ("action", "put"), [("flag", 900), ("null", None), ("clip", "high"), ("quarantine", 40)]
)  # fmt: skip
@pytest.mark.usefixtures("usual")
async def test_an_outlier_is_dealt_with_as_the_rule_says(
    action: str, put: Any, method: str, hear: Hear, get: Show, measure: Measure, rule: MakeRule
) -> None:
    made = await rule(kind="outlier", key="size", action=action, method=method)
    assert not made["ready"]
    via = uuid7()
    await hear(identified({"size": 40}, via=via, at=at(1)))
    await measure()
    ready = await get(f"{RULES}/{made['id']}")
    assert ready["ready"]
    high = float(ready["baseline"]["high"])
    assert 45 < high < 100
    await hear(identified({"size": 900}, via=via, at=at(2)))
    assert (await shown(get, via)).get("size") == (high if put == "high" else put)
    [found] = await findings(get, rule=made["id"])
    assert (found["value"], found["state"], found["via"], found["action"]) == (900, "open", str(via), action)
    assert found["taken"] == {"flag": 900, "clip": high}.get(action)


@pytest.mark.usefixtures("usual")
async def test_what_is_clipped_of_whole_numbers_is_whole(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule, client: httpx.AsyncClient
) -> None:
    size = {"key": "size", "label": {"en": "Size"}, "type": "number", "whole": True}
    assert (await client.post("/v1/traits", json=size)).status_code == 201
    made = await rule(kind="outlier", key="size", action="clip", factor=1.11)
    await measure()
    baseline = (await get(f"{RULES}/{made['id']}"))["baseline"]
    via = uuid7()
    await hear(identified({"size": 900}, via=via, at=at(2)))
    assert (await shown(get, via))["size"] == int(baseline["high"])


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("action", ["null", "clip", "quarantine"])
async def test_a_late_outlier_never_replaces_what_is_newer_and_its_release_neither(
    action: str, hear: Hear, get: Show, measure: Measure, rule: MakeRule, client: httpx.AsyncClient, derive: Any
) -> None:
    made = await rule(kind="outlier", key="size", action=action)
    await measure()
    via = uuid7()
    await hear(identified({"size": 41}, via=via, at=at(10)))
    await hear(identified({"size": 900}, via=via, at=at(5)))
    assert (await shown(get, via))["size"] == 41
    [found] = await findings(get, rule=made["id"])
    assert (await client.post(f"/v1/quality/findings/{found['id']}/release")).status_code == 200
    await derive()
    assert (await shown(get, via))["size"] == 41
    assert (await client.post(f"/v1/quality/findings/{found['id']}/release")).status_code == 409


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("action", ["null", "clip", "quarantine"])
async def test_a_release_puts_back_what_was_said_and_the_rule_does_not_take_it_again(
    action: str, hear: Hear, get: Show, measure: Measure, rule: MakeRule, client: httpx.AsyncClient, derive: Any
) -> None:
    made = await rule(kind="outlier", key="size", action=action)
    await measure()
    via = uuid7()
    await hear(identified({"size": 41}, via=via, at=at(1)))
    await hear(identified({"size": 900}, via=via, at=at(2)))
    [found] = await findings(get, rule=made["id"])
    answer = await client.post(f"/v1/quality/findings/{found['id']}/release")
    assert (answer.status_code, answer.json()["state"]) == (200, "released")
    await derive()
    assert (await shown(get, via))["size"] == 900
    await measure()
    assert (await shown(get, via))["size"] == 900


@pytest.mark.usefixtures("usual")
async def test_a_merge_shows_the_same_whichever_side_was_caught(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule, assign: Any, derive: Any
) -> None:
    await rule(kind="outlier", key="size", action="quarantine")
    await measure()
    one, two = uuid7(), uuid7()
    await hear(identified({"size": 41}, via=one, at=at(1)), identified({"size": 900}, via=two, at=at(2)))
    await assign(one, two, version=2)
    await derive()
    assert (await shown(get, one))["size"] == 41
    assert [found["customer"] for found in await findings(get)] == [str(one)]
    await assign(two, two, version=3)
    await derive()
    assert "size" not in await shown(get, two)


@pytest.mark.usefixtures("usual")
@pytest.mark.parametrize("action", ["flag", "null", "clip", "quarantine"])
async def test_history_is_touched_on_request_only_and_given_back(
    action: str, hear: Hear, get: Show, measure: Measure, rule: MakeRule, operate: Operate, derive: Any,
    runtime: Runtime,
) -> None:  # fmt: skip
    via = uuid7()
    await hear(identified({"size": 38}, via=via, at=at(1), source="app"))
    await hear(identified({"size": 39}, via=via, at=at(1)), identified({"size": 900}, via=via, at=at(2)))

    async def stored() -> list[Any]:
        async with runtime.database.read() as session:
            return list((await session.execute(EVERYTHING)).all())

    before = await stored()
    made = await rule(kind="outlier", key="size", action=action)
    await measure()
    assert await stored() == before, "nothing happens by itself"
    assert await findings(get) == []
    result = await operate(f"{RULES}/{made['id']}/apply")
    await derive()
    assert result["caught"] == 1
    high = float((await get(f"{RULES}/{made['id']}"))["baseline"]["high"])
    expected = {"flag": 900, "null": None, "clip": high, "quarantine": 38}[action]
    assert (await shown(get, via)).get("size") == expected
    assert (await operate(f"{RULES}/{made['id']}/apply"))["caught"] == (1 if action == "flag" else 0)
    assert len(await findings(get)) == 1
    restored = await operate(f"{RULES}/{made['id']}/restore")
    await derive()
    assert restored == {"restored": 0 if action == "flag" else 1}
    assert (await shown(get, via))["size"] == 900
    assert await stored() == before


@pytest.mark.parametrize("action", ["null", "quarantine", "flag"])
async def test_a_value_that_another_customer_gives_is_caught_sealed_ones_too(
    action: str, hear: Hear, get: Show, measure: Measure, rule: MakeRule, session: WriteSession
) -> None:
    old, new, same = uuid7(), uuid7(), uuid7()
    await hear(identified({"email": "Ada@Example.com"}, via=old, at=at(0)))
    made = await rule(kind="duplicate", key="email", action=action)
    await measure()
    assert (await get(f"{RULES}/{made['id']}"))["ready"]
    await hear(
        identified({"email": "ada@example.com "}, via=new, at=at(1)),
        identified({"email": "bob@example.com"}, via=same, at=at(1)),
        identified({"email": "ada@example.com"}, via=old, at=at(2)),
    )
    assert (await shown(get, new)).get("email") == ("ada@example.com " if action == "flag" else None)
    assert (await shown(get, old))["email"] == "ada@example.com", "who has it may say it again"
    assert (await shown(get, same))["email"] == "bob@example.com"
    [found] = await findings(get, rule=made["id"])
    assert (found["via"], found["value"]) == (str(new), "ada@example.com ")
    stored = await session.execute(text("SELECT value::text FROM quality_finding"))
    assert "example" not in stored.scalar_one()


async def test_two_customers_in_one_batch_cannot_both_have_it(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule
) -> None:
    await rule(kind="duplicate", key="code", action="quarantine")
    await measure()
    first, second = uuid7(), uuid7()
    await hear(
        identified({"code": "x"}, via=second, at=at(2)), identified({"code": "x"}, via=first, at=at(1)),
        identified({"code": "y"}, via=first, at=at(3)), identified({"code": None}, via=first, at=at(4)),
    )  # fmt: skip
    assert "code" not in await shown(get, second)
    await hear(identified({"code": "x"}, via=second, at=at(5)))
    assert (await shown(get, second))["code"] == "x", "it is free again"


async def test_duplicates_that_were_there_are_flagged_and_a_merge_ends_that(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule, assign: Any, derive: Any, operate: Operate
) -> None:
    first, second = uuid7(), uuid7()
    await hear(identified({"code": "x"}, via=first, at=at(1)), identified({"code": "X"}, via=second, at=at(2)))
    made = await rule(kind="duplicate", key="code")
    await measure()
    [found] = await findings(get, state="open")
    assert (found["via"], found["state"]) == (str(second), "open")
    await assign(first, second, version=2)
    await derive()
    await measure()
    assert [one["state"] for one in await findings(get)] == ["gone"]
    assert (await operate(f"{RULES}/{made['id']}/apply"))["caught"] == 0
    await assign(second, second, version=3)
    await derive()
    await measure()
    assert [one["state"] for one in await findings(get)] == ["open"]


async def test_quarantined_values_are_refused_in_the_count_and_waiting_in_the_report(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule
) -> None:
    now = datetime.now(UTC)
    await hear(*[identified({"size": 36 + n % 10}, via=uuid7()) for n in range(40)])
    await rule(kind="outlier", key="size", action="quarantine")
    await measure(now)
    await hear(*[identified({"size": 900}, via=uuid7()) for _ in range(10)])
    await measure()
    [row] = (await get("/v1/quality/report"))["items"]
    assert (row["said"], row["validity"]) == (50, 0.8)
    [source] = (await get("/v1/quality/sources"))["items"]
    assert source["quarantine"] == {"quarantined": 0, "held": 10}
    assert [one["reason"] for one in (await get("/v1/traits/refused"))["items"]] == ["outlier"]
