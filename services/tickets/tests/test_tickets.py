"""One ticket's life, over HTTP, and what the others hear of it."""

from typing import Any
from uuid import uuid4


async def test_a_ticket_goes_its_way_and_every_step_is_told(desk: Any) -> None:
    await desk.agent("anna")
    via = await desk.customer()
    made = await desk.ticket(via, type="refund", subject="Broken", fields={"order_id": "A-1", "amount": 12.5})
    assert (made["stage"], made["assignee"], made["priority"], made["version"]) == ("assigned", "anna", "normal", 3)
    assert made["fields"] == {"order_id": "A-1", "amount": "12.5"}
    assert (made["customer_id"], made["via"], made["rating"]) == (str(via), str(via), None)
    assert made["first_response_due_at"]
    assert made["resolution_due_at"]
    moved = await desk.move(made, "in_progress", note="on it")
    assert moved["first_response_at"]
    closed = await desk.act(made, "close", resolution="refunded")
    assert (closed["stage"], closed["open"], closed["resolution"]) == ("closed", False, "refunded")
    assert closed["closed_at"]
    rated = await desk.act(made, "rating", score=4, comment="fine")
    assert (rated["rating"]["score"], rated["rating"]["comment"]) == (4, "fine")
    said = await desk.said(made)
    assert [name for name, _ in said] == ["opened", "assigned", "moved", "moved", "moved", "closed", "rated"]
    assert [body["version"] for _, body in said] == list(range(1, 8))
    assert [body["open"] for _, body in said] == [True] * 4 + [False] * 3
    assert said[5][1]["resolution"] == "refunded"
    assert said[6][1]["score"] == 4
    assert {body["customer"] for _, body in said} == {str(via)}
    kinds = [line["kind"] for line in await desk.events(made)]
    assert kinds == ["opened", "dispatched", "assigned", "moved", "moved", "commented", "moved", "closed", "rated"]
    [note] = await desk.events(made, "commented")
    assert (note["detail"], note["public"]) == ({"text": "on it"}, False)
    assert {line["actor"] for line in await desk.events(made, "closed")} == {"api_key:tester"}


async def test_only_stages_that_may_follow_do(desk: Any) -> None:
    made = await desk.ticket()
    assert made["stage"] == "new"
    await desk.act(made, "close", resolution="spam")
    for verb, body in (
        ("transition", {"to": "in_progress"}),
        ("close", {"resolution": "again"}),
        ("assign", {"assignee": None}),
    ):
        refused = await desk.act(made, verb, 409, **body)
        assert "closed" in refused["detail"] or "open" in refused["detail"]


async def test_a_ticket_is_closed_with_a_resolution(desk: Any) -> None:
    made = await desk.ticket()
    refused = await desk.act(made, "transition", 422, to="closed")
    assert refused["errors"][0]["pointer"] == "/resolution"
    early = await desk.act(made, "transition", 422, to="in_progress", resolution="done")
    assert early["errors"][0]["pointer"] == "/resolution"
    resolved = await desk.move(made, "resolved", resolution="sent again")
    assert (resolved["open"], resolved["resolution"]) == (False, "sent again")
    assert (await desk.move(made, "closed"))["resolution"] == "sent again"


async def test_a_score_is_given_once_and_after_the_end(desk: Any) -> None:
    made = await desk.ticket()
    assert (await desk.act(made, "rating", 409, score=5))["code"] == "not_ended"
    await desk.act(made, "close", resolution="done")
    await desk.act(made, "rating", score=5)
    assert (await desk.act(made, "rating", 409, score=1))["code"] == "already_rated"
    assert (await desk.shown(made))["rating"]["score"] == 5


async def test_who_saw_an_older_version_changes_nothing(desk: Any) -> None:
    made = await desk.ticket()
    tag = (await desk.get(f"/v1/tickets/{made['id']}")).headers["etag"]
    path = f"/v1/tickets/{made['id']}/transition"
    first = await desk.post(path, {"to": "in_progress"}, If_Match=tag)
    assert first.status_code == 200
    stale = await desk.post(path, {"to": "resolved"}, If_Match=tag)
    assert stale.status_code == 412
    assert (await desk.shown(made))["stage"] == "in_progress"
    assert (await desk.post(path, {"to": "resolved"}, If_Match="nonsense")).status_code == 400


async def test_a_repeated_request_gets_the_first_answer(desk: Any) -> None:
    via, key = await desk.customer(), uuid4().hex
    body = {"customer_id": str(via), "type": "question", "subject": "Once", "description": "Only."}
    first, again = [await desk.post("/v1/tickets", body, Idempotency_Key=key) for _ in range(2)]
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    mine = {"type": "question", "subject": "Mine", "description": "Only."}
    first, again = [await desk.post("/v1/me/tickets", mine, via=via, Idempotency_Key=key) for _ in range(2)]
    assert first.json()["id"] == again.json()["id"]
    assert len((await desk.get(f"/v1/tickets?customer_id={via}")).json()["items"]) == 2
    changed = await desk.post("/v1/tickets", {**body, "subject": "Twice"}, Idempotency_Key=key)
    assert changed.status_code == 422
    for path, sent in (("/v1/tickets", body), ("/v1/me/tickets", mine)):
        missing = await desk.post(path, sent, via=via if "me" in path else None, Idempotency_Key="")
        assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (400, "header/Idempotency-Key")
    close = f"/v1/tickets/{first.json()['id']}/close"
    answers = [await desk.post(close, {"resolution": "done"}, Idempotency_Key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await desk.post(close, {"resolution": "done"})).status_code == 409


async def test_lists_are_filtered_and_paged(desk: Any) -> None:
    await desk.agent("anna", capacity=1)
    one, other = await desk.customer(), await desk.customer()
    tickets = [await desk.ticket(one), await desk.ticket(one, type="complaint"), await desk.ticket(other)]
    await desk.act(tickets[1], "close", resolution="done")
    ids = [ticket["id"] for ticket in tickets]

    async def listed(query: str) -> list[str]:
        return [item["id"] for item in (await desk.get(f"/v1/tickets?{query}")).json()["items"]]

    assert await listed("") == ids[::-1]
    assert await listed(f"customer_id={one}") == [ids[1], ids[0]]
    assert await listed("stage=closed") == [ids[1]]
    assert await listed("type=question") == [ids[2], ids[0]]
    assert await listed("assignee=anna") == [ids[0]]
    assert await listed("open=true") == [ids[2], ids[0]]
    assert await listed(f"open=false&customer_id={one}") == [ids[1]]
    assert await listed(f"customer_id={uuid4()}") == []
    page = (await desk.get("/v1/tickets?limit=2")).json()
    rest = (await desk.get(f"/v1/tickets?limit=2&cursor={page['next_cursor']}")).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


async def test_the_summary_counts(desk: Any) -> None:
    empty = (await desk.get("/v1/tickets/summary")).json()
    assert (empty["by_state"], empty["open"], empty["breached"], empty["csat"]) == ({}, 0, 0, None)
    tickets = [await desk.ticket() for _ in range(4)]
    for ticket, score in zip(tickets[:3], (5, 4, 4), strict=True):
        await desk.act(ticket, "close", resolution="done")
        await desk.act(ticket, "rating", score=score)
    summary = (await desk.get("/v1/tickets/summary")).json()
    assert summary["by_state"] == {"closed": 3, "new": 1}
    assert (summary["open"], summary["unassigned"], summary["rated"], summary["csat"]) == (1, 1, 3, "4.33")
    assert summary["total"] == 4


async def test_a_type_that_changes_leaves_its_tickets_alone(desk: Any) -> None:
    made = await desk.ticket()
    found = await desk.get("/v1/ticket-types/question")
    body = {name: value for name, value in found.json().items() if name not in {"key", "version"}}
    end = {"key": "closed", "label": "Over", "state": "closed"}
    body |= {"stages": [{"key": "first", "label": "First", "state": "open", "next": ["closed"]}, end]}
    body |= {"assigned_stage": None}
    put = await desk.client.put("/v1/ticket-types/question", json=body, headers={"If-Match": found.headers["etag"]})
    assert (put.status_code, put.json()["version"]) == (200, 2)
    assert (await desk.move(made, "in_progress"))["stage"] == "in_progress"
    assert (await desk.ticket())["stage"] == "first"
