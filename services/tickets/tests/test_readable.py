"""What a dispatch rule may read; one from before that was asked goes on."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from perennial.common.db import WriteSession
from perennial.tickets.dispatch.models import DispatchRule

NEVER = {"event": "order_paid", "count": {"eq": 0}}
MAY = "a dispatch rule may read type, priority, subject, description, tier, fields.<name>, segments"


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        (NEVER, "/rule/event"),
        ({"all": [{"everyone": True}, {"not": NEVER}]}, "/rule/all/1/not/event"),
        ({"sequence": [{"event": "a"}, {"event": "b"}]}, "/rule/sequence"),
        ({"any": [{"tag": "vip"}]}, "/rule/any/0/trait"),
        ({"stage": "lost"}, "/rule/trait"),
        ({"trait": "city", "is": "Lyon"}, "/rule/trait"),
        ({"trait": "tier.name", "is": "gold"}, "/rule/trait"),
        ({"trait": "fields", "exists": True}, "/rule/trait"),
    ],
    ids=["event", "inside", "sequence", "tag", "stage", "trait", "within", "all fields"],
)
async def test_a_rule_that_asks_what_no_ticket_has_is_refused(desk: Any, rule: dict[str, Any], pointer: str) -> None:
    answer = await desk.post("/v1/dispatch-rules", {"name": "never", "rule": rule})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert MAY in answer.json()["detail"]


async def test_what_tickets_have_is_taken(desk: Any) -> None:
    asked = [{"trait": name, "is": "x"} for name in ("type", "priority", "subject", "description", "tier", "fields.x")]
    await desk.rule("all of it", {"any": [*asked, {"segment": str(uuid4())}, {"everyone": True}]})


async def test_a_rule_from_before_goes_on_and_can_be_disabled(desk: Any, session: WriteSession) -> None:
    made = await desk.rule("old", {"everyone": True}, team="vip")
    row = await session.get_one(DispatchRule, UUID(made["id"]))
    row.rule = {"event": "order_paid", "count": {"eq": 0}}
    await session.flush()
    assert (await desk.ticket())["team"] == "vip"
    path, seen = f"/v1/dispatch-rules/{made['id']}", {"If-Match": "*"}
    held = (await desk.get(path)).json()["rule"]
    put = await desk.client.put(path, json={"name": "old", "rule": held, "enabled": False}, headers=seen)
    assert (put.status_code, put.json()["enabled"]) == (200, False)
    other = {"name": "old", "rule": {"trait": "city", "is": "Lyon"}}
    assert (await desk.client.put(path, json=other, headers=seen)).status_code == 422
