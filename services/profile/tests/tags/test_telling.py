"""What profile says of tags and ladders: which segments the rules of each ask for."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import RuleState
from perennial.common.contracts.profile import RulesChanged
from perennial.common.runtime import Runtime
from perennial.profile.tags import main
from perennial.profile.tags.definitions import telling

ANY = {"If-Match": "*"}
TAG: dict[str, Any] = {"key": "loyal", "label": {"en": "Loyal", "zh": "忠诚"}, "dimension": "value", "kind": "rule"}


async def said(runtime: Runtime) -> list[RuleState]:
    """What was said of rules since the last time."""
    async with runtime.database.write() as session:
        rows = await session.execute(
            text("DELETE FROM outbox WHERE subject = :subject RETURNING id, body"), {"subject": RulesChanged.subject}
        )
        facts = [RulesChanged.model_validate(json.loads(row.body)) for row in sorted(rows, key=lambda row: row.id)]
    return [state for fact in facts for state in fact.rules]


def ladder(*segments: object) -> dict[str, Any]:
    stages = [
        {"key": f"s{number}", "label": {"en": f"S{number}"}, "rule": {"segment": str(segment)}}
        for number, segment in enumerate(segments)
    ]
    return {"label": {"en": "Ours"}, "stages": stages}


@pytest.mark.usefixtures("catalogue")
async def test_a_tag_says_which_segments_it_asks_for_until_it_is_archived(
    client: httpx.AsyncClient, runtime: Runtime
) -> None:
    vip, other = uuid4(), uuid4()
    made = await client.post("/v1/tags", json={**TAG, "rule": {"segment": str(vip)}})
    assert made.status_code == 201, made.text
    for change in ({"rule": {"any": [{"segment": str(vip)}, {"segment": str(other)}]}}, {"active": False}):
        changed = await client.patch("/v1/tags/loyal", json=change, headers=ANY)
        assert changed.status_code == 200, changed.text
    states = await said(runtime)
    assert {(state.kind, state.id, state.name) for state in states} == {("tag", "loyal", "Loyal")}
    assert [(state.state, set(state.segments), state.version) for state in states] == [
        ("active", {vip}, 1),
        ("active", {vip, other}, 2),
        ("archived", set(), 3),
    ]


@pytest.mark.usefixtures("catalogue")
async def test_a_ladder_says_which_segments_its_stages_ask_for(client: httpx.AsyncClient, runtime: Runtime) -> None:
    vip, other = uuid4(), uuid4()
    body = ladder(vip, other)
    made = await client.put("/v1/lifecycle/ladders/ours", json=body, headers={"If-None-Match": "*"})
    assert made.status_code == 200, made.text
    chosen = await client.put("/v1/lifecycle", json={"ladder": "ours"}, headers=ANY)
    assert chosen.status_code == 200, chosen.text
    changed = await client.put("/v1/lifecycle/ladders/ours", json=ladder(vip), headers=ANY)
    assert changed.status_code == 200, changed.text
    every = await said(runtime)
    own = [state for state in every if state.id == "ours"]
    assert [(state.kind, state.name, state.state, set(state.segments)) for state in own] == [
        ("ladder", "Ours", "kept", {vip, other}),
        ("ladder", "Ours", "in use", {vip, other}),
        ("ladder", "Ours", "in use", {vip}),
    ]
    assert [state.version for state in own] == sorted({state.version for state in own})
    assert {state.state for state in every if state.id == "retail"} == {"kept"}, "another is in use now"


@pytest.mark.usefixtures("catalogue")
async def test_what_was_there_before_is_said(
    client: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "AT_ONCE", 3)
    vip = uuid4()
    await client.post("/v1/tags", json={**TAG, "rule": {"segment": str(vip)}})
    await said(runtime)
    await main.tell_rules(runtime)
    again = await said(runtime)
    assert [state.segments for state in again if state.id == "loyal"] == [[vip]]
    assert len({(state.kind, state.id) for state in again}) == len(again)
    async with runtime.database.read() as session:
        ruled = await session.execute(text("SELECT count(*) FROM tag_definition WHERE kind = 'rule'"))
        assert sum(state.kind == "tag" for state in again) == ruled.scalar_one()
        ladders = await session.execute(text("SELECT count(*) FROM ladder"))
        assert sum(state.kind == "ladder" for state in again) == ladders.scalar_one()
