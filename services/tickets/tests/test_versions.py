"""What a reader holds is never taken for the present: tags follow the body, facts the agent, a rating the end."""

from typing import Any


async def _unchanged(desk: Any, made: dict[str, Any], tag: str) -> int:
    path = f"/v1/tickets/{made['id']}"
    return int((await desk.client.get(path, headers={"If-None-Match": tag})).status_code)


async def _tag(desk: Any, made: dict[str, Any]) -> str:
    return str((await desk.get(f"/v1/tickets/{made['id']}")).headers["etag"])


async def test_a_comment_that_is_the_first_response_is_a_new_version(desk: Any) -> None:
    made = await desk.ticket()
    before = await _tag(desk, made)
    await desk.act(made, "comments", text="among us", public=False)
    assert await _unchanged(desk, made, before) == 304
    await desk.act(made, "comments", text="Hello")
    assert await _unchanged(desk, made, before) == 200
    after = await _tag(desk, made)
    await desk.act(made, "comments", text="Hello again")
    assert await _unchanged(desk, made, after) == 304


async def test_a_decision_that_finds_nobody_is_a_new_version(desk: Any) -> None:
    made = await desk.ticket()
    before = await _tag(desk, made)
    await desk.rule("all", {"everyone": True}, team="vip")
    await desk.act(made, "assign", assignee=None)
    assert (await desk.shown(made))["team"] == "vip"
    assert await _unchanged(desk, made, before) == 200


async def test_who_lost_a_ticket_without_a_successor_is_said(desk: Any) -> None:
    await desk.agent("anna", capacity=1)
    first = await desk.ticket()
    await desk.move(first, "resolved", resolution="done")
    second = await desk.ticket()
    assert second["assignee"] == "anna"
    assert (await desk.move(first, "in_progress"))["assignee"] is None
    assigned = [body for name, body in await desk.said(first) if name == "assigned"]
    assert [body["assignee"] for body in assigned] == ["anna", ""]
    versions = [body["version"] for _, body in await desk.said(first)]
    assert versions == sorted(set(versions))


async def test_a_ticket_that_is_solved_anew_is_rated_anew(desk: Any) -> None:
    made = await desk.ticket()
    await desk.move(made, "in_progress")
    await desk.move(made, "resolved", resolution="done")
    await desk.act(made, "rating", score=1)
    await desk.act(made, "rating", 409, score=2)
    await desk.move(made, "in_progress")
    await desk.act(made, "rating", 409, score=2)
    await desk.move(made, "resolved", resolution="again")
    await desk.act(made, "rating", score=5)
    await desk.act(made, "close", resolution="done")
    assert (await desk.act(made, "rating", 409, score=2))["code"] == "already_rated"
    assert (await desk.shown(made))["rating"]["score"] == 5
