"""What tickets says of its dispatch rules: which segments each asks for."""

import json
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from perennial.common.contracts.base import RuleState
from perennial.common.contracts.tickets import RulesChanged
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.tickets.dispatch import telling


async def said(session: WriteSession) -> list[RuleState]:
    """What was said of rules since the last time."""
    rows = await session.execute(
        text("DELETE FROM outbox WHERE subject = :subject RETURNING id, body"), {"subject": RulesChanged.subject}
    )
    facts = [RulesChanged.model_validate(json.loads(row.body)) for row in sorted(rows, key=lambda row: row.id)]
    return [state for fact in facts for state in fact.rules]


async def test_a_rule_says_which_segments_it_asks_for_until_it_is_deleted(desk: Any, session: WriteSession) -> None:
    vip, other = uuid4(), uuid4()
    rule = {"name": "VIPs first", "rule": {"any": [{"segment": str(vip)}, {"not": {"segment": str(other)}}]}}
    made = await desk.post("/v1/dispatch-rules", rule)
    assert made.status_code == 201, made.text
    path = f"/v1/dispatch-rules/{made.json()['id']}"
    changed = {**rule, "rule": {"segment": str(vip)}, "enabled": False}
    assert (await desk.client.put(path, json=changed, headers={"If-Match": "*"})).status_code == 200
    assert (await desk.client.delete(path)).status_code == 204
    states = await said(session)
    assert {(state.kind, state.id, state.name) for state in states} == {
        ("dispatch_rule", made.json()["id"], "VIPs first")
    }
    assert [(state.state, set(state.segments), state.version) for state in states] == [
        ("enabled", {vip, other}, 1),
        ("disabled", {vip}, 2),
        ("deleted", set(), 3),
    ]


async def test_rules_that_were_there_before_are_said(desk: Any, session: WriteSession, runtime: Runtime) -> None:
    vip = uuid4()
    await desk.rule("by segment", {"segment": str(vip)})
    await desk.rule("by type", {"trait": "type", "is": "refund"})
    before = await said(session)
    await telling.tell_all(runtime)
    assert await said(session) == before
    assert [state.segments for state in before] == [[vip], []]


async def test_where_there_are_no_rules_nothing_is_said(runtime: Runtime, session: WriteSession) -> None:
    await telling.tell_all(runtime)
    assert await said(session) == []
