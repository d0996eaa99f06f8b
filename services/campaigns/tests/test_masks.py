"""Who reads what of messages and journeys, and who may ask what of customers."""

from collections.abc import Callable, Sequence

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from perennial.campaigns.channels.outgoing import Outgoing, Refused, Result
from perennial.campaigns.channels.smtp import Smtp
from perennial.campaigns.messages.shown import is_clear
from perennial.campaigns.templates import sources
from perennial.campaigns.testing.world import Json, World, definition, message
from perennial.common.auth import Principal
from perennial.common.testing.exposure import exposed, read_all

ADDRESS, PASSWORD = "zebulon@secret.example", "smtp-hunter2"
SECRETS = (ADDRESS, "Zebulon", "fortyfour", "13877776666", "neighbour", PASSWORD)
NO_JOURNEY = "0192d0c0-0000-7000-8000-000000000000"
OTHER: Json = {"trigger": {"event": "Cart Viewed"}}


class Deaf:
    """A provider that takes nothing, and quotes what it was given."""

    channel, batch = "sandbox", 20

    async def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        return [Refused(f"550 <{item.address}> is unknown, call 13877776666") for item in messages]


def as_who(token: Callable[..., str], *fields: str, scopes: str = "*") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(*scopes.split(), fields=fields)}"}


@pytest.fixture
async def walked(world: World) -> dict[str, str]:
    """A customer who got one message, was refused another, began by an event that says a lot, and ended."""
    steps = [
        {"id": "ask", "kind": "condition", "rule": {"trait": "email", "is": ADDRESS}},
        message("hello", subject="For {{ traits.first_name }}", body="{{ traits.email }}, {{ event.properties.note }}"),
        message("size", subject="Shoes", body="Size {{ traits.shoe_size }}"),
    ]
    where = [{"property": "contact_email", "is": ADDRESS}]
    wanted = definition(*steps, exit_on=[{"event": "Order Completed", "where": where}])
    journey = await world.journey(wanted)
    customer = await world.customer(email=ADDRESS, first_name="Zebulon", shoe_size="fortyfour")
    said = {"note": "call 13877776666", "contact_email": ADDRESS, "recipient_name": "neighbour"}
    await world.track("Product Added", customer, said)
    await world.tick()
    broken = await world.journey(definition(message("lost", body="{{ traits.first_name }}"), **OTHER))
    await world.track("Cart Viewed", customer, said)
    await world.tick(provider=Deaf())
    await world.track("Order Completed", customer, said)
    rows = await world.rows("SELECT id, enrolment_id, step FROM message ORDER BY id")
    assert [row.step for row in rows] == ["hello", "size", "lost"]
    return {
        "journey_id": str(journey),
        "broken": str(broken),
        "message_id": str(rows[0].id),
        "enrolment_id": str(rows[0].enrolment_id),
        "name": "email",
        **{row.step: str(row.id) for row in rows},
    }


async def test_nothing_personal_is_read_by_whoever_sees_nothing(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], walked: dict[str, str], world: World
) -> None:
    app.state.settings = app.state.settings.model_copy(
        update={"smtp_url": SecretStr(f"smtp://shop:{PASSWORD}@127.0.0.1:9")}
    )
    answers: dict[str, httpx.Response] = {}
    for row in await world.rows("SELECT id, enrolment_id, journey_id FROM message"):
        places = {"message_id": row.id, "enrolment_id": row.enrolment_id, "journey_id": row.journey_id, "name": "email"}
        answers |= await read_all(app, client, token("*", fields=()), places)
    assert {answer.status_code for answer in answers.values()} == {200}
    assert list(exposed(answers, SECRETS)) == []
    everything = await read_all(app, client, token("*"), walked)
    assert set(exposed(everything, SECRETS)) >= {
        (f"/v1/messages/{walked['hello']}", ADDRESS),
        (f"/v1/messages/{walked['hello']}", "Zebulon"),
        (f"/v1/enrolments/{walked['enrolment_id']}", "neighbour"),
        (f"/v1/journeys/{walked['journey_id']}", ADDRESS),
        ("/v1/messages", ADDRESS),
    }


async def test_a_text_is_read_by_whoever_sees_what_it_was_made_of(
    client: httpx.AsyncClient, token: Callable[..., str], walked: dict[str, str]
) -> None:
    async def read(step: str, *fields: str) -> Json:
        found: Json = (await client.get(f"/v1/messages/{walked[step]}", headers=as_who(token, *fields))).json()
        return found

    assert [(await read("hello", *seen))["body"] for seen in ((), ("personal",), ("sensitive",))] == ["****"] * 3
    assert (await read("hello", "personal", "email"))["body"] == f"{ADDRESS}, call 138****6666"
    assert (await read("hello", "personal", "sensitive"))["body"] == f"{ADDRESS}, call 13877776666"
    size = await read("size", "shoe_size")
    assert (size["subject"], size["body"], size["to"]) == ("Shoes", "Size fortyfour", "z****@secret.example")
    lost = await read("lost", "personal")
    assert lost["detail"] == {"error": "550 <z****@secret.example> is unknown, call 138****6666"}
    assert ADDRESS not in lost["explanation"]
    listed = (await client.get("/v1/messages", headers=as_who(token, "personal"))).json()["items"]
    assert {item["to"] for item in listed} == {"z****@secret.example"}


async def test_a_reveal_is_a_scope_a_reason_and_a_row(
    client: httpx.AsyncClient, token: Callable[..., str], walked: dict[str, str]
) -> None:
    path = f"/v1/messages/{walked['hello']}/reveal"
    for scopes in ("campaigns:*", "campaigns:read customers:read", "customers:reveal"):
        refused = await client.post(path, json={"reason": "x"}, headers=as_who(token, "*", scopes=scopes))
        assert refused.status_code == 403
    may = as_who(token, scopes="customers:reveal campaigns:read")
    for wrong in ({}, {"reason": " "}, {"reason": "a\x00b"}, {"reason": "x" * 501}, {"reason": 7}):
        assert (await client.post(path, json=wrong, headers=may)).status_code == 422
    nowhere = await client.post(f"/v1/messages/{NO_JOURNEY}/reveal", json={"reason": "they asked"}, headers=may)
    assert nowhere.status_code == 404
    shown = await client.post(path, json={"reason": "The customer asked"}, headers=may)
    assert (shown.status_code, shown.json()["to"]) == (200, ADDRESS)
    assert shown.json()["body"] == f"{ADDRESS}, call 13877776666"
    await client.get(f"/v1/messages/{walked['hello']}")
    trail = (await client.get("/v1/audit/campaigns?action=message.revealed")).json()["items"]
    assert [(item["subject"], item["detail"]) for item in trail] == [
        (walked["hello"], {"reason": "The customer asked"})
    ]
    assert trail[0]["principal"] == "api_key:tester"


COMPARED: list[tuple[Json, str]] = [
    (
        definition({"id": "ask", "kind": "condition", "rule": {"trait": "phone", "starts_with": "+86"}}, message()),
        "/definition/steps/0/rule/trait",
    ),
    (
        definition(
            {"id": "ask", "kind": "condition", "rule": {"not": {"all": [{"trait": "email", "is": "a"}]}}}, message()
        ),
        "/definition/steps/0/rule/not/all/0/trait",
    ),
    (
        definition(message()) | {"trigger": {"event": "X", "where": [{"property": "email", "is": "a"}]}},
        "/definition/trigger/where/0/property",
    ),
    (
        definition(message(), exit_on=[{"event": "X", "where": [{"property": "phone", "is": "a"}]}]),
        "/definition/exit_on/0/where/0/property",
    ),
]


@pytest.mark.parametrize(("wanted", "pointer"), COMPARED)
async def test_nobody_asks_about_what_they_do_not_see(
    client: httpx.AsyncClient, token: Callable[..., str], wanted: Json, pointer: str
) -> None:
    body, few = {"name": "x", "definition": wanted}, as_who(token, "personal")
    made = await client.post("/v1/journeys", json={"name": "x", "definition": definition(message())}, headers=few)
    path, match = f"/v1/journeys/{made.json()['id']}", {**few, "If-Match": "*"}
    for refused in (
        await client.post("/v1/journeys", json=body, headers=few),
        await client.put(path, json=body, headers=match),
        await client.patch(path, json={"definition": wanted}, headers=match),
    ):
        found = refused.json()
        assert (refused.status_code, found["code"], found["errors"][0]["pointer"]) == (403, "field_masked", pointer)
    assert (await client.patch(path, json={"name": "y"}, headers=match)).status_code == 200
    allowed = await client.post("/v1/journeys", json=body, headers=as_who(token, "sensitive"))
    assert allowed.status_code == 201
    shown = (await client.get(f"/v1/journeys/{allowed.json()['id']}", headers=few)).json()
    again = await client.put(path, json={"name": "x", "definition": shown["definition"]}, headers=match)
    assert again.status_code == 403, "what is shown hidden must not be written back"


async def test_whether_something_exists_may_be_asked(client: httpx.AsyncClient, token: Callable[..., str]) -> None:
    rule = {"trait": "email", "exists": True}
    wanted = definition({"id": "ask", "kind": "condition", "rule": rule}, message())
    made = await client.post("/v1/journeys", json={"name": "x", "definition": wanted}, headers=as_who(token))
    assert made.status_code == 201
    assert made.json()["definition"]["steps"][0]["rule"] == rule


@pytest.mark.parametrize(
    ("template", "seen", "clear"),
    [
        ("Hello", (), True),
        ("{{ traits.plan }}", (), True),
        ("{{ traits.first_name }}", (), False),
        ("{{ traits.first_name }}", ("personal",), True),
        ("{% if traits.email contains 'a' %}a{% endif %}", ("personal",), False),
        ("{{ traits.home.phone }}", ("personal",), False),
        ("{{ event.properties.total }}", (), False),
        ("{{ event.properties.total }}", ("personal",), True),
        ("{{ event.properties.email }}", ("personal",), False),
        ("{{ event }}", ("personal", "sensitive"), False),
        ("{% for item in event.properties.items %}{{ item.gift_phone }}{% endfor %}", ("personal",), False),
        ("{% assign who = traits.email %}{{ who }}", ("personal",), False),
        ("{{ event }}", ("*",), True),
        ("{{ event.properties }}", ("personal", "sensitive"), False),
    ],
)
def test_what_a_text_was_made_of_decides(template: str, seen: tuple[str, ...], clear: bool) -> None:
    who = Principal("staff", "x", frozenset(), None, frozenset(seen))
    assert is_clear(who, sources(template)) is clear


async def test_no_answer_of_a_provider_holds_the_password() -> None:
    sent = Outgoing(*[None] * 4, "email", *[None] * 4, ADDRESS, "s", "b", "text", "a@b.example", None)  # type: ignore[arg-type, call-arg]
    for url in (f"smtp://shop:{PASSWORD}@127.0.0.1:9", f"http://shop:{PASSWORD}@127.0.0.1:9"):
        [result] = await Smtp(url).send([sent])
        assert PASSWORD not in repr(result)
