"""Customers see their own tickets and nobody else's, whatever is merged or separated."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.db import WriteSession
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.service import ServiceRuntime
from perennial.tickets.main import SERVICE


async def assign(runtime: ServiceRuntime, session: WriteSession, version: int, **owners: UUID) -> None:
    said = [Assignment(via=UUID(via), customer=customer, version=version) for via, customer in owners.items()]
    await react(runtime, session, reactions_of(SERVICE), [IdentifiersAssigned(assignments=said)])
    await session.flush()


async def mine(desk: Any, via: UUID) -> set[str]:
    return {item["subject"] for item in (await desk.get("/v1/me/tickets", via=via)).json()["items"]}


async def of_customer(desk: Any, customer: UUID) -> set[str]:
    return {item["subject"] for item in (await desk.get(f"/v1/tickets?customer_id={customer}")).json()["items"]}


async def test_a_customer_asks_answers_and_rates(desk: Any) -> None:
    via = await desk.customer()
    made = await desk.ask(via)
    assert (made["stage"], made["open"], made["rating"]) == ("new", True, None)
    assert not {"assignee", "via", "sla", "dispatch_reason", "priority"} & set(made)
    await desk.act(made, "comments", text="Which one?")
    await desk.act(made, "comments", text="A regular caller", public=False)
    await desk.move(made, "waiting_customer")
    answered = await desk.post(f"/v1/me/tickets/{made['id']}/comments", {"text": "The red one"}, via=via)
    assert answered.json()["stage"] == "in_progress"
    lines = (await desk.get(f"/v1/me/tickets/{made['id']}/events", via=via)).json()["items"]
    assert [line["detail"]["text"] for line in lines if line["kind"] == "commented"] == ["Which one?", "The red one"]
    assert all("actor" not in line for line in lines)
    rating = f"/v1/me/tickets/{made['id']}/rating"
    assert (await desk.post(rating, {"score": 5}, via=via)).status_code == 409
    await desk.act(made, "close", resolution="sent")
    assert (await desk.post(rating, {"score": 5}, via=via)).json()["rating"]["score"] == 5
    assert (await desk.post(rating, {"score": 4}, via=via)).status_code == 409


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff"])
@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ('{"order_id": "a?"}', "/fields/order_id"),
        ('{"a?b": "x"}', "/fields"),
        ('{"a?b": {"?": ["?"]}}', "/fields"),
        ('{"order_id": {"?": ["?"]}}', "/fields/order_id"),
    ],
)
async def test_fields_that_cannot_be_kept_are_refused(desk: Any, token: Any, half: str, fields: str, at: str) -> None:
    body = '{"type": "complaint", "subject": "a", "description": "b", "fields": ' + fields.replace("?", half) + "}"
    headers = {
        "Authorization": f"Bearer {token(via=await desk.customer())}",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
    }
    answer = await desk.client.post("/v1/me/tickets", content=body, headers=headers)
    assert answer.status_code == 422, answer.text
    assert all(error["pointer"].startswith(at) for error in answer.json()["errors"])


async def test_another_customer_finds_nothing(desk: Any) -> None:
    one, other = await desk.customer(), await desk.customer()
    made = await desk.ask(one)
    assert await mine(desk, other) == set()
    path = f"/v1/me/tickets/{made['id']}"
    for found in (
        await desk.get(path, via=other),
        await desk.get(f"{path}/events", via=other),
        await desk.post(f"{path}/comments", {"text": "Hello"}, via=other),
        await desk.post(f"{path}/rating", {"score": 1}, via=other),
        await desk.get(f"/v1/me/tickets/{uuid4()}", via=one),
    ):
        assert found.status_code == 404
    for path, via in ((f"/v1/tickets/{made['id']}", one), ("/v1/tickets", one)):
        assert (await desk.get(path, via=via)).status_code == 403
    assert (await desk.get("/v1/me/tickets")).status_code == 403


async def test_somebody_the_map_does_not_know_yet_is_somebody(desk: Any) -> None:
    stranger = uuid4()
    made = await desk.ask(stranger)
    assert await mine(desk, stranger) == {"Mine"}
    assert (await desk.shown(made))["customer_id"] == str(stranger)


async def test_a_merge_and_its_undo_change_what_is_shown_by_the_map_alone(
    desk: Any, runtime: ServiceRuntime, session: WriteSession
) -> None:
    one, other = await desk.customer(), await desk.customer()
    first, second = await desk.ask(one, "first"), await desk.ask(other, "second")
    before = await stored(session)
    await assign(runtime, session, 2, **{str(other): one})
    for via in (one, other):
        assert await mine(desk, via) == await of_customer(desk, via) == {"first", "second"}
        for ticket in (first, second):
            assert (await desk.get(f"/v1/me/tickets/{ticket['id']}", via=via)).status_code == 200
    assert {(await desk.shown(ticket))["customer_id"] for ticket in (first, second)} == {str(one)}
    assert [body["customer"] for _, body in await desk.said(await desk.move(second, "in_progress"))][-1] == str(one)
    await desk.move(second, "resolved", resolution="done")
    await assign(runtime, session, 3, **{str(other): other})
    assert (await mine(desk, one), await of_customer(desk, other)) == ({"first"}, {"second"})
    assert (await desk.get(f"/v1/me/tickets/{second['id']}", via=one)).status_code == 404
    assert (await desk.shown(second))["customer_id"] == str(other)
    assert await stored(session) == before


async def stored(session: WriteSession) -> list[Any]:
    return list((await session.execute(text("SELECT id, via FROM ticket ORDER BY id"))).all())
