"""A limit is crossed once, with hysteresis; a rule on missing values is one; a clock that jumps repeats nothing."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified
from perennial.profile.quality.measuring.thresholds import Limit, judged

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Measure = Callable[..., Awaitable[None]]
MakeRule = Callable[..., Awaitable[Any]]
DAY = timedelta(days=1)
SAID = text("""
    SELECT convert_from(body, 'UTF8')::jsonb - 'id' - 'occurred_at' AS body FROM outbox
    WHERE subject = 'profile.quality.threshold_crossed.v1' ORDER BY id""")


async def said(session: WriteSession) -> list[tuple[str | None, float, bool]]:
    bodies = (await session.execute(SAID)).scalars()
    return [(body["trait"], round(body["value"], 3), body["crossed"]) for body in bodies]


async def test_a_fill_rate_crosses_once_and_recovers_once(
    hear: Hear, get: Show, measure: Measure, rule: MakeRule, session: WriteSession
) -> None:
    made = await rule(kind="missing", key="size", below=0.5, recover=0.6)
    vias = [uuid7() for _ in range(10)]
    await hear(*[identified({"city": "Rome"}, via=via) for via in vias])

    async def sized(number: int) -> None:
        await hear(*[identified({"size": 40}, via=via) for via in vias[:number]])

    now = datetime.now(UTC)
    for number, moment in ((4, now), (4, now + DAY), (4, now - DAY), (5, now), (5, now)):
        await sized(number)
        await measure(moment)
        assert await said(session) == [("size", 0.4, True)], "once, and 0.5 is not yet well again"
    [found] = (await get("/v1/quality/findings"))["items"]
    assert (found["kind"], found["via"], found["value"], found["state"]) == ("missing", None, 0.5, "open")
    await sized(6)
    await measure(now)
    await measure(now)
    assert await said(session) == [("size", 0.4, True), ("size", 0.6, False)]
    [found] = (await get("/v1/quality/findings", rule=made["id"]))["items"]
    assert found["state"] == "gone"


async def test_a_required_trait_that_nobody_shows_is_missing_of_every_source(
    hear: Hear, measure: Measure, rule: MakeRule, session: WriteSession, get: Show
) -> None:
    await rule(kind="missing", key="size", below=0.1)
    await rule(kind="missing", key="hat", below=0.1, source="app")
    await hear(identified({"city": "Rome"}, via=uuid7()), identified({"city": "Oslo"}, via=uuid7(), source="app"))
    await measure()
    assert sorted(await said(session)) == [("hat", 0.0, True), ("size", 0.0, True), ("size", 0.0, True)]
    rows = (await get("/v1/quality/report"))["items"]
    missing = {(row["source"], row["key"]): row["fill_rate"] for row in rows if row["required"]}
    assert missing == {("app", "hat"): 0.0, ("app", "size"): 0.0, ("shop", "size"): 0.0}


async def test_a_score_below_a_threshold_is_told_and_an_archived_rule_is_silent(
    hear: Hear, measure: Measure, rule: MakeRule, session: WriteSession, client: httpx.AsyncClient
) -> None:
    made = await rule(kind="threshold", measure="score", below=99)
    other = await rule(kind="threshold", measure="freshness", below=0.9)
    old = datetime.now(UTC) - 800 * DAY
    await hear(identified({"city": "Rome"}, via=uuid7(), at=old))
    where = f"/v1/quality/rules/{other['id']}"
    assert (await client.delete(where, headers={"If-Match": '"1"'})).status_code == 204
    await measure()
    [(trait, value, crossed)] = await said(session)
    assert (trait, crossed) == (None, True)
    assert value < 99
    assert (await client.get(f"/v1/quality/rules/{made['id']}")).json()["measure"] == "score"


@given(values=st.lists(st.floats(0, 1), max_size=40), limit=st.floats(0, 1), gap=st.floats(0, 0.5), lower=st.booleans())
def test_crossings_and_recoveries_take_turns(values: list[float], limit: float, gap: float, lower: bool) -> None:
    recover = limit + gap if lower else limit - gap
    one = Limit(UUID(int=1), "fill", None, "a", limit, lower, recover)
    state: dict[tuple[UUID, str, str], bool] = {}
    told: list[bool] = []
    for value in values:
        for _, source, key, _, crossed, changed in judged([one], {("fill", "shop", "a"): value}, state):
            state[one.rule, source, key] = crossed
            told += [crossed] if changed else []
    assert told == [number % 2 == 0 for number in range(len(told))]
