"""Traits written by hand: who, why, when, what lost, and how to take it back."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.profile import TraitsChanged
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Edit = Callable[..., Awaitable[httpx.Response]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAN = {"key": "plan", "label": {"en": "Plan"}, "type": "enum", "values": [{"value": "free"}, {"value": "pro"}]}


@pytest.fixture
def edit(client: httpx.AsyncClient) -> Edit:
    async def edited(customer: UUID, key: str = "", headers: Any = None, **body: Any) -> httpx.Response:
        sent = {"Idempotency-Key": key or str(uuid7()), **(headers or {})}
        return await client.patch(f"/v1/customers/{customer}/traits", json={"reason": "by phone", **body}, headers=sent)

    return edited


async def shown(get: Show, via: UUID) -> Any:
    return (await get(f"/v1/customers/{via}"))["traits"]


async def test_an_edit_is_shown_told_and_on_the_record(
    hear: Hear, get: Show, edit: Edit, client: httpx.AsyncClient, session: WriteSession
) -> None:
    via, other = uuid7(), uuid7()
    await client.post("/v1/traits", json=PLAN)
    await hear(identified({"plan": "free", "email": "old@example.com"}, via=via, at=NOON, live=False))
    await hear(identified({"plan": "free"}, via=other, customer=via, at=NOON, live=False))
    answer = await edit(other, "once", traits={"plan": "PRO", "Email": "new@example.com"})
    assert (answer.status_code, answer.json()["id"]) == (200, str(via))
    assert answer.json()["traits"] == {"plan": {"shown": True}, "email": {"shown": True}}
    assert (await edit(other, "once", traits={"plan": "PRO", "Email": "new@example.com"})).json() == answer.json()
    assert await shown(get, via) == {"plan": "pro", "email": "new@example.com"}
    [noted] = (await get(f"/v1/customers/{via}/traits/email/history"))["items"]
    assert (noted["value"], noted["before"], noted["reason"], noted["by"]) == (
        "new@example.com", "old@example.com", "by phone", "api_key:tester",
    )  # fmt: skip
    explained = await get(f"/v1/customers/{via}/traits/plan")
    assert [(one["source"], one["value"], one["fate"]) for one in explained["statements"]] == [
        ("manual", "pro", "shown"), ("shop", "free", "older"), ("shop", "free", "older"),
    ]  # fmt: skip
    told = await session.execute(
        text("SELECT convert_from(body, 'UTF8')::jsonb -> 'traits' FROM outbox WHERE subject = :subject"),
        {"subject": TraitsChanged.subject},
    )
    assert told.scalars().all() == [{"plan": "pro", "email": "new@example.com"}]
    audited = await session.execute(text("SELECT action, detail::text FROM audit WHERE action LIKE 'traits.%'"))
    [(action, detail)] = audited.all()
    assert action == "traits.edited"
    assert "new@example.com" not in detail


async def test_a_later_event_replaces_an_edit_unless_edits_win(
    hear: Hear, get: Show, edit: Edit, client: httpx.AsyncClient
) -> None:
    via, later = uuid7(), datetime.now(UTC) + timedelta(minutes=1)
    await client.post("/v1/traits", json={**PLAN, "strategy": "manual-wins"})
    await hear(identified({"plan": "free", "city": "Rome"}, via=via, at=NOON))
    await client.post("/v1/traits", json={"key": "city", "label": {"en": "City"}})
    await edit(via, traits={"plan": "pro", "city": "Paris"})
    await hear(identified({"plan": "free", "city": "Oslo"}, via=via, at=later))
    assert await shown(get, via) == {"plan": "pro", "city": "Oslo"}
    back = await edit(via, give_back=["plan"])
    assert back.status_code == 200
    assert await shown(get, via) == {"plan": "free", "city": "Oslo"}
    history = (await get(f"/v1/customers/{via}/traits/plan/history"))["items"]
    assert [(one["given_back"], one["before"], one["value"]) for one in history] == [
        (True, "pro", None), (False, "free", "pro"),
    ]  # fmt: skip
    await edit(via, traits={"plan": None})
    assert await shown(get, via) == {"city": "Oslo"}, "cleared by hand, and it stays so"


async def test_a_more_trusted_source_stands_and_the_answer_says_so(
    hear: Hear, get: Show, edit: Edit, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    await client.post("/v1/traits", json={**PLAN, "sources": ["crm"]})
    await hear(identified({"plan": "free"}, via=via, at=NOON, source="crm"))
    assert (await edit(via, traits={"plan": "pro"})).json()["traits"] == {"plan": {"shown": False}}
    explained = await get(f"/v1/customers/{via}/traits/plan")
    assert [one["fate"] for one in explained["statements"]] == ["less_trusted", "shown"]


async def test_a_source_named_manual_is_not_the_staff(hear: Hear, get: Show, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await client.post("/v1/traits", json={**PLAN, "strategy": "manual-wins"})
    await hear(identified({"plan": "pro"}, via=via, at=NOON, source="manual"))
    await hear(identified({"plan": "free"}, via=via, at=NOON + timedelta(minutes=1), source="shop"))
    assert await shown(get, via) == {"plan": "free"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"traits": {"plan": "gold"}}, 422, "not_listed"),
        ({"traits": {"nobody_knows": 1}}, 422, "no such trait"),
        ({"traits": {"plan": "pro", "Plan": "free"}}, 422, "named twice"),
        ({"traits": {}}, 422, "nothing is written"),
        ({"traits": {"plan": "pro"}, "give_back": ["plan"]}, 422, "not given back"),
        ({"traits": {"plan": "pro"}, "reason": " "}, 422, "reason"),
        ({"traits": {"plan": None}}, 422, "required"),
        ({"traits": {"spent": 4}}, 422, "sum"),
        ({"traits": {"age": "old"}}, 422, "number"),
        ({"traits": {"name": "a\u0000b"}}, 422, "NUL"),
        ({"traits": {"address": {"street": "a\u0000b"}}}, 422, "NUL"),
        ({"traits": {"name": "x"}, "reason": "a\u0000b"}, 422, "NUL"),
        ({"traits": {"a\u0000b": "x"}}, 422, "NUL"),
        ({"traits": {"age": 10**400}}, 422, "number"),
    ],
)  # fmt: skip
async def test_what_cannot_be_written_is_refused(
    hear: Hear, edit: Edit, client: httpx.AsyncClient, body: dict[str, Any], status: int, said: str
) -> None:
    via = uuid7()
    await client.post("/v1/traits", json={**PLAN, "required": True})
    spent = {"key": "spent", "label": {"en": "Spent"}, "type": "number", "strategy": "sum"}
    await client.post("/v1/traits", json=spent)
    await hear(identified({"plan": "free"}, via=via, at=NOON))
    answer = await edit(via, **body)
    assert answer.status_code == status
    assert said in answer.text
    assert (await edit(uuid7(), traits={"plan": "pro"})).status_code == 404


async def test_who_does_not_see_a_trait_does_not_change_it(
    hear: Hear, edit: Edit, token: Callable[..., str], client: httpx.AsyncClient
) -> None:
    via = uuid7()
    await hear(identified({"email": "ann@example.com", "name": "Ann"}, via=via, at=NOON))
    headers = {"Authorization": f"Bearer {token('customers:read', 'customers:write', fields=['personal'])}"}
    assert (await edit(via, headers=headers, traits={"name": "Anne"})).status_code == 200
    refused = await edit(via, headers=headers, traits={"email": "x@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (403, "field_hidden")
    for path in ("traits/email", "traits/email/history"):
        answer = await client.get(f"/v1/customers/{via}/{path}", headers=headers)
        assert answer.status_code == 200
        assert "ann@example" not in answer.text


async def test_half_a_character_is_refused(client: httpx.AsyncClient, hear: Hear) -> None:
    via = uuid7()
    await hear(identified({"name": "Ann"}, via=via, at=NOON))
    content = '{"reason": "x", "traits": {"name": "\\ud800"}}'
    headers = {"Idempotency-Key": "x", "Content-Type": "application/json"}
    answer = await client.patch(f"/v1/customers/{via}/traits", content=content, headers=headers)
    assert answer.status_code == 422
