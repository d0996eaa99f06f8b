"""Presets can be adopted as they are, and everybody is in one stage."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.common import rules
from perennial.common.ids import uuid7
from perennial.common.rules import View
from perennial.common.rules.view import Occurrence
from perennial.segments.presets.catalogue import PRESETS

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
STAGES = {preset.key: rules.compile(rules.parse(dict(preset.rule))) for preset in PRESETS if preset.kind == "stage"}
EDGES = [timedelta(days=days, microseconds=more) for days in (0, 30, 90, 180, 365) for more in (0, 1)]


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(EDGES), st.timedeltas(timedelta(), timedelta(days=500))), max_size=5))
def test_everybody_is_in_exactly_one_stage(ages: list[timedelta]) -> None:
    orders = [Occurrence(NOW - age) for age in sorted(ages, reverse=True)]
    view = View(uuid7(), events={"Order Completed": orders} if orders else {})
    held = [key for key, holds in STAGES.items() if holds(view, NOW)]
    assert len(held) == 1
    assert (held == ["stage_prospect"]) == (not ages)


async def test_every_preset_can_be_adopted(
    client: httpx.AsyncClient, settle: Callable[[], Awaitable[None]], hear: Any, bought: Any, run: Any
) -> None:
    order = bought()
    await hear(order)
    await run()
    items = (await client.get("/v1/segments/presets")).json()["items"]
    assert len(items) == len(PRESETS)
    assert len({item["key"] for item in items} | {item["zh"] for item in items}) >= len(PRESETS)
    made = {}
    for item in items:
        body = {"name": item["en"], "rule": item["rule"]}
        answer = await client.post("/v1/segments", json=body, headers={"Idempotency-Key": item["key"]})
        assert answer.status_code == 201, answer.text
        made[item["key"]] = answer.json()["id"]
    await settle()
    inside = set()
    for key, segment in made.items():
        answer = (await client.get(f"/v1/segments/{segment}")).json()
        assert answer["state"] == "live", answer
        inside |= {key} if answer["size"] else set()
    assert {"stage_new", "habit_one_order"} <= inside
    assert not inside & {"stage_prospect", "stage_lost", "habit_repeat"}
    assert len([key for key in inside if key.startswith("rfm_")]) == 3


async def test_presets_are_listed_by_kind(client: httpx.AsyncClient) -> None:
    items = (await client.get("/v1/segments/presets?kind=stage")).json()["items"]
    assert [item["key"] for item in items] == list(STAGES)
    assert (await client.get("/v1/segments/presets?kind=other")).status_code == 422
