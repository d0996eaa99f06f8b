"""Fixtures of the tickets tests: the presets, a desk that speaks HTTP, what was said."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.common.testing.plugin import customer
from perennial.tickets.main import SERVICE
from perennial.tickets.migrations.versions import PRESETS


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(autouse=True)
async def presets(database_urls: SimpleNamespace) -> None:
    """A test with real commits empties every table; the migration's presets come back."""
    data = json.loads(PRESETS.read_text())
    rows = [("calendar", "always", data["calendar"])]
    rows += [("ticket_type", key, {**value, "stages": data["stages"]}) for key, value in data["types"].items()]
    connection = await asyncpg.connect(database_urls.owner)
    for table, key, definition in rows:
        await connection.execute(
            f"INSERT INTO {table} (key, version, definition) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING",
            key,
            json.dumps(definition),
        )
    await connection.close()


class Desk:
    """The desk's side of the API, and the customers'."""

    def __init__(self, client: httpx.AsyncClient, token: Callable[..., str], session: WriteSession) -> None:
        self.client = client
        self.token = token
        self.session = session

    async def customer(self, *, of: UUID | None = None) -> UUID:
        return await customer(self.session, of=of)

    async def post(self, path: str, body: Any, *, via: UUID | None = None, **headers: str) -> httpx.Response:
        sent = {"Idempotency-Key": uuid4().hex, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if via is not None:
            sent["Authorization"] = f"Bearer {self.token(via=via)}"
        return await self.client.post(path, json=body, headers=sent)

    async def get(self, path: str, *, via: UUID | None = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token(via=via)}"} if via else {}
        return await self.client.get(path, headers=headers)

    async def ticket(self, via: UUID | None = None, **changes: Any) -> dict[str, Any]:
        """A new ticket, opened by staff."""
        via = via or await self.customer()
        body = {"customer_id": str(via), "type": "question", "subject": "Hello", "description": "Where is it?"}
        made = await self.post("/v1/tickets", {**body, **changes})
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def ask(self, via: UUID, subject: str = "Mine") -> dict[str, Any]:
        """A new ticket, opened by the customer."""
        body = {"type": "question", "subject": subject, "description": "Please help."}
        made = await self.post("/v1/me/tickets", body, via=via)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def act(self, ticket: dict[str, Any], verb: str, status: int = 200, **body: Any) -> dict[str, Any]:
        """A verb on a ticket."""
        answer = await self.post(f"/v1/tickets/{ticket['id']}/{verb}", body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    async def move(self, ticket: dict[str, Any], to: str, **body: Any) -> dict[str, Any]:
        return await self.act(ticket, "transition", to=to, **body)

    async def agent(self, id: str, **changes: Any) -> dict[str, Any]:
        body = {"id": id, "name": id.title(), "capacity": 5, "online": True, **changes}
        made = await self.post("/v1/agents", body)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def rule(self, name: str, rule: dict[str, Any], **changes: Any) -> dict[str, Any]:
        made = await self.post("/v1/dispatch-rules", {"name": name, "rule": rule, **changes})
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def shown(self, ticket: dict[str, Any]) -> dict[str, Any]:
        return dict((await self.get(f"/v1/tickets/{ticket['id']}")).json())

    async def events(self, ticket: dict[str, Any], kind: str | None = None) -> list[dict[str, Any]]:
        items = (await self.get(f"/v1/tickets/{ticket['id']}/events?limit=200")).json()["items"]
        return [item for item in items if kind in (None, item["kind"])]

    async def said(self, ticket: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        """The facts about a ticket: (event, body) in order."""
        rows = await self.session.execute(text("SELECT subject, body FROM outbox ORDER BY id"))
        found = [(row.subject.split(".")[2], json.loads(bytes(row.body))) for row in rows]
        return [(name, body) for name, body in found if body["ticket_id"] == ticket["id"]]


@pytest.fixture
def desk(client: httpx.AsyncClient, token: Callable[..., str], session: WriteSession) -> Desk:
    return Desk(client, token, session)


@pytest.fixture
def offline(service: Service, settings: Any, committed: Any) -> ServiceRuntime:
    """A runtime with real commits and no broker."""
    return ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
