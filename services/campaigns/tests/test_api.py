"""The HTTP side: drafts and publication, enrolment on request, funnels, messages, and what is refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from perennial.campaigns.testing.world import Json, World, definition, message, wait

CONTROLLED: Json = {
    "trigger": {"api": True},
    "reentry": "once",
    "exit_on": [{"event": "completed order"}],
    "steps": [
        {
            "id": "share",
            "kind": "split",
            "arms": [
                {"name": "treated", "percent": 50, "next": "invite"},
                {"name": "control", "percent": 50, "next": "watch"},
            ],
        },
        message("invite"),
        wait("P7D", "watch"),
        {"id": "exit", "kind": "exit"},
    ],
}

NO_JOURNEY = "0192d0c0-0000-7000-8000-000000000000"


async def drafted(client: httpx.AsyncClient, wanted: Json, name: str = "test") -> Json:
    answer = await client.post("/v1/journeys", json={"name": name, "definition": wanted})
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


async def published(client: httpx.AsyncClient, wanted: Json) -> str:
    journey = (await drafted(client, wanted))["id"]
    answer = await client.post(f"/v1/journeys/{journey}/publish")
    assert answer.status_code == 200, answer.text
    return str(journey)


async def test_the_life_of_a_journey(client: httpx.AsyncClient) -> None:
    made = await drafted(client, CONTROLLED)
    path = f"/v1/journeys/{made['id']}"
    assert (made["state"], made["published_version"], made["revision"]) == ("draft", None, 1)
    assert made["definition"]["exit_on"] == [{"event": "Order Completed", "where": []}]
    assert (await client.put(path, json={"name": "x", "definition": CONTROLLED})).status_code == 428
    changed = await client.put(path, json={"name": "x", "definition": CONTROLLED}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    stale = await client.patch(path, json={"name": "y"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["errors"][0]["pointer"]) == (412, "header/If-Match")
    assert (await client.post(f"{path}/pause")).json()["code"] == "not_published"
    assert (await client.post(f"{path}/publish")).json()["published_version"] == 1
    assert (await client.post(f"{path}/pause")).json()["state"] == "paused"
    assert (await client.post(f"{path}/enrol", json={"customer_ids": [str(uuid4())]})).status_code == 409
    assert (await client.post(f"{path}/resume")).json()["state"] == "published"
    shorter = {**CONTROLLED, "steps": CONTROLLED["steps"][1:]}
    tag = (await client.get(path)).headers["ETag"]
    assert (await client.patch(path, json={"definition": shorter}, headers={"If-Match": tag})).status_code == 200
    assert (await client.post(f"{path}/publish")).json()["published_version"] == 2
    versions = (await client.get(f"{path}/versions?limit=1")).json()
    assert (versions["items"][0]["version"], versions["next_cursor"] is not None) == (2, True)
    older = await client.get(f"{path}/versions", params={"cursor": versions["next_cursor"]})
    assert [item["version"] for item in older.json()["items"]] == [1]
    archived = await client.delete(path, headers={"If-Match": "*"})
    assert archived.json()["state"] == "archived"
    assert (await client.post(f"{path}/publish")).status_code == 409
    assert [item["id"] for item in (await client.get("/v1/journeys?state=archived")).json()["items"]] == [made["id"]]


async def test_an_idempotency_key_is_heeded(client: httpx.AsyncClient) -> None:
    body = {"name": "once", "definition": CONTROLLED}
    answers = [await client.post("/v1/journeys", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    reused = await client.post("/v1/journeys", json=body | {"name": "other"}, headers={"Idempotency-Key": "k"})
    assert reused.status_code == 422


async def test_enrolment_on_request_funnel_and_messages(client: httpx.AsyncClient, world: World) -> None:
    journey, segment = await published(client, CONTROLLED), uuid4()
    customers = [await world.customer(email=None if number < 5 else f"c{number}@shop.example") for number in range(40)]
    for customer in customers[:30]:
        await world.member(customer, segment, entered=False)
    path = f"/v1/journeys/{journey}"
    enrolled = await client.post(f"{path}/enrol", json={"segment_id": str(segment)})
    assert (enrolled.status_code, enrolled.json()) == (200, {"enrolled": 30, "refused": {}})
    asked = [str(customer) for customer in customers[20:]] + [str(uuid4())]
    again = (await client.post(f"{path}/enrol", json={"customer_ids": asked})).json()
    assert again == {"enrolled": 10, "refused": {"already_enrolled": 10, "unknown_customer": 1}}
    await world.tick()

    funnel = (await client.get(f"{path}/funnel")).json()
    share, invite, watch, leave = funnel["steps"]
    treated, control = share["outcomes"]["treated"], share["outcomes"]["control"]
    assert (funnel["enrolled"], funnel["active"], treated + control) == (40, 40, 40)
    assert (invite["entered"], sum(invite["outcomes"].values())) == (treated, treated)
    assert set(invite["outcomes"]) <= {"sent", "no_address"}
    assert (watch["entered"], watch["here"], leave["entered"]) == (40, 40, 0)
    summary = (await client.get("/v1/messages/summary", params={"journey_id": journey})).json()
    assert summary["sent"] == invite["outcomes"]["sent"]
    assert summary["not_sent"].get("control_group") == control
    assert summary["not_sent"].get("no_address", 0) == invite["outcomes"].get("no_address", 0)

    sent = (await client.get("/v1/messages", params={"journey_id": journey, "status": "sent", "limit": 200})).json()
    assert len(sent["items"]) == summary["sent"]
    one = sent["items"][0]
    assert one["to"].endswith("@shop.example")
    story = (await client.get(f"/v1/messages/{one['id']}")).json()
    assert (story["body"], story["explanation"]) == ("How are you?", "sent: the provider took it")
    assert story["to"] == (await world.rows("SELECT address FROM message WHERE id = :id", id=one["id"]))[0][0]

    await world.track("Order Completed", customers[0])
    await world.pass_time(timedelta(days=7))
    await world.tick()
    funnel = (await client.get(f"{path}/funnel?version=1")).json()
    assert (funnel["completed"], funnel["exited"], funnel["active"]) == (39, {"exit_event": 1}, 0)
    assert funnel["steps"][2]["outcomes"] == {"waited": 39, "exited": 1}


async def test_one_walk_explains_itself(client: httpx.AsyncClient, world: World) -> None:
    journey = await published(client, definition(message(), wait("PT1H")))
    ada = await world.customer()
    await world.track("Product Added", ada, {"name": "Teapot"})
    await world.track("Product Added", ada, {"name": "Cup"})
    await world.tick()
    await world.track("Order Completed", ada)
    listed = (await client.get(f"/v1/journeys/{journey}/enrolments", params={"customer_id": str(ada)})).json()["items"]
    story = (await client.get(f"/v1/enrolments/{listed[0]['id']}")).json()
    assert (story["state"], story["reason"], story["ended_by"]["event"]) == ("exited", "exit_event", "Order Completed")
    assert story["cause"]["properties"] == {"name": "Teapot"}
    assert [(step["step"], step["outcome"]) for step in story["steps"]] == [("hello", "sent"), ("pause", "exited")]
    assert [(item["step"], item["status"]) for item in story["messages"]] == [("hello", "sent")]
    refused = (await client.get(f"/v1/journeys/{journey}/refusals")).json()["items"]
    assert [(item["customer_id"], item["reason"]) for item in refused] == [(str(ada), "already_enrolled")]


async def test_a_merge_and_its_undo_move_what_is_shown_by_the_map_alone(
    client: httpx.AsyncClient, world: World
) -> None:
    journey = await published(client, definition(message(), wait("PT1H")))
    ada, bob = await world.customer(), await world.customer()
    for via in (ada, bob):
        await world.track("Product Added", via)
    await world.tick()

    async def shown(customer: Any) -> tuple[int, set[str], int]:
        query = {"customer_id": str(customer)}
        walks = (await client.get(f"/v1/journeys/{journey}/enrolments", params=query)).json()["items"]
        letters = (await client.get("/v1/messages", params=query)).json()["items"]
        return len(walks), {item["customer_id"] for item in walks + letters}, len(letters)

    assert await shown(ada) == (1, {str(ada)}, 1)
    await world.assign(bob, ada)
    assert await shown(ada) == await shown(bob) == (2, {str(ada)}, 2)
    refused = await client.post(f"/v1/journeys/{journey}/enrol", json={"customer_ids": [str(bob), str(ada)]})
    assert refused.json() == {"enrolled": 0, "refused": {"already_enrolled": 1}}
    await world.assign(bob, bob)
    assert await shown(bob) == (1, {str(bob)}, 1)
    stored = await world.rows("SELECT via FROM enrolment UNION ALL SELECT via FROM message")
    assert sorted(row.via for row in stored) == sorted([ada, ada, bob, bob])


async def test_what_one_side_of_a_merge_paid_ends_the_journey_of_the_other(world: World) -> None:
    await world.journey(definition(wait("PT1H")))
    ada, bob = await world.customer(), await world.customer()
    await world.track("Product Added", ada)
    await world.track("Order Completed", bob)
    assert [state for _, state, _ in await world.enrolments()] == ["active"]
    await world.assign(bob, ada)
    assert await world.enrolments() == [("pause", "exited", "exit_event")]


async def test_channels(client: httpx.AsyncClient, world: World) -> None:
    assert [item["name"] for item in (await client.get("/v1/channels")).json()["items"]] == ["email", "sandbox"]
    found = await client.get("/v1/channels/email")
    body = {
        "sender": "Shop <hello@shop.example>",
        "cap": 1,
        "cap_window": "P7D",
        "quiet_from": "22:00",
        "quiet_until": "07:00",
    }
    put = await client.put("/v1/channels/email", json=body, headers={"If-Match": found.headers["ETag"]})
    assert (put.status_code, put.json()["cap"], put.json()["cap_window"]) == (200, 1, "P7D")
    assert (await client.put("/v1/channels/email", json=body, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.get("/v1/channels/pigeon")).status_code == 404
    for wrong, pointer in (
        ({"sender": "nobody"}, "/sender"),
        ({"unsubscribe": "javascript:alert(1)"}, "/unsubscribe"),
        ({"cap": 0}, "/cap"),
        ({"cap_window": "-P1D"}, "/cap_window"),
        ({"quiet_until": None}, ""),
    ):
        answer = await client.put("/v1/channels/email", json=body | wrong, headers={"If-Match": "*"})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_who_may_not(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    reader = {"Authorization": f"Bearer {token('campaigns:read')}"}
    customer = {"Authorization": f"Bearer {token(via=uuid4())}"}
    assert (await client.get("/v1/journeys", headers=reader)).status_code == 200
    assert (await client.post("/v1/journeys", json={}, headers=reader)).status_code == 403
    assert (await client.get("/v1/messages", headers=customer)).status_code == 403
    assert (await client.get("/v1/messages", headers={"Authorization": ""})).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "pointer"),
    [
        ("POST", "/v1/journeys", {"definition": {}}, 422, "/name"),
        ("POST", "/v1/journeys", {"name": "", "definition": {}}, 422, "/name"),
        ("POST", "/v1/journeys", {"name": "a\x00", "definition": {}}, 422, "/name"),
        ("POST", "/v1/journeys", {"name": "x", "definition": [], "more": 1}, 422, "/definition"),
        ("GET", "/v1/journeys/7", None, 422, "path/journey_id"),
        ("GET", f"/v1/journeys/{NO_JOURNEY}", None, 404, "path/journey_id"),
        ("GET", "/v1/journeys?state=gone", None, 422, "query/state"),
        ("GET", "/v1/journeys?cursor=%21", None, 400, "query/cursor"),
        ("GET", "/v1/messages?cursor=WzFd", None, 400, "query/cursor"),
        ("GET", "/v1/messages?status=lost", None, 422, "query/status"),
        ("GET", "/v1/messages?customer_id=x", None, 422, "query/customer_id"),
        ("GET", "/v1/messages?limit=0", None, 422, "query/limit"),
        ("GET", f"/v1/messages/{NO_JOURNEY}", None, 404, "path/message_id"),
        ("GET", f"/v1/enrolments/{NO_JOURNEY}", None, 404, "path/enrolment_id"),
        ("GET", f"/v1/journeys/{NO_JOURNEY}/enrolments", None, 404, "path/journey_id"),
        ("POST", f"/v1/journeys/{NO_JOURNEY}/publish", None, 404, "path/journey_id"),
        ("POST", f"/v1/journeys/{NO_JOURNEY}/enrol", {}, 422, ""),
        ("POST", f"/v1/journeys/{NO_JOURNEY}/enrol", {"customer_ids": []}, 422, "/customer_ids"),
    ],
)
async def test_bad_requests_name_the_field(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, pointer: str
) -> None:
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


async def test_a_segment_of_which_nothing_was_heard(client: httpx.AsyncClient) -> None:
    journey = await published(client, CONTROLLED)
    answer = await client.post(f"/v1/journeys/{journey}/enrol", json={"segment_id": str(uuid4())})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/segment_id")
