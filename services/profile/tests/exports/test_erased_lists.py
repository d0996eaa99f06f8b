"""A list that was written before somebody was erased may hold them: it goes, and one under way begins anew."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import CustomerErased
from perennial.common.ids import uuid7
from perennial.common.operations import worker as operations
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified
from perennial.profile.exports import service

Hear = Callable[..., Awaitable[None]]


@pytest.fixture
async def people(hear: Hear) -> list[UUID]:
    vias = sorted(uuid7() for _ in range(4))
    await hear(*(identified({"name": f"Name{n}"}, via=via, customer=via) for n, via in enumerate(vias)))
    return vias


@pytest.fixture
def bearer(token: Callable[..., str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token('customers:export', fields=('*',), who='ann', kind='staff')}"}


async def _start(client: httpx.AsyncClient, bearer: dict[str, str], **wanted: Any) -> str:
    key = {"Idempotency-Key": str(uuid7())}
    made = await client.post("/v1/exports", json={"columns": ["id", "trait.name"], **wanted}, headers={**bearer, **key})
    assert made.status_code == 202, made.text
    return str(made.headers["Location"])


async def _forgotten(runtime: ServiceRuntime, hear: Hear, via: UUID) -> None:
    await hear(CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=datetime.now(UTC)))
    await worker.run_all(runtime)


async def _finish(runtime: ServiceRuntime) -> None:
    while await operations.step_once(runtime):
        pass


async def test_a_list_that_was_written_is_gone_and_says_why(
    client: httpx.AsyncClient, runtime: ServiceRuntime, hear: Hear, people: list[UUID], bearer: dict[str, str]
) -> None:
    where = await _start(client, bearer, q="Name1")
    await _finish(runtime)
    assert (await client.get(f"{where}/files/customers.csv", headers=bearer)).status_code == 200
    await _forgotten(runtime, hear, people[0])
    assert (await client.get(f"{where}/files/customers.csv", headers=bearer)).status_code == 404
    shown = (await client.get(where, headers=bearer)).json()
    assert (shown["files"], shown["result"]["gone"]) == ([], "because of an erasure")
    assert "q" not in shown["input"], "the words that were looked for may be a name"
    async with runtime.database.read() as session:
        record = (await session.execute(text("SELECT detail::text FROM audit WHERE action LIKE '%exported'"))).scalar()
    assert "Name1" not in str(record)
    where = await _start(client, bearer)
    async with runtime.database.write() as session:  # now() stands still in a test
        of_it = {"id": UUID(where.rpartition("/")[2])}
        await session.execute(text("UPDATE operation SET created_at = clock_timestamp() WHERE id = :id"), of_it)
    await _finish(runtime)
    await _second_look(runtime)
    content = (await client.get(f"{where}/files/customers.csv", headers=bearer)).text
    assert [row.split(",")[1] for row in content.splitlines()] == ["trait.name", "Name1", "Name2", "Name3"]


async def _second_look(runtime: ServiceRuntime) -> None:
    async with runtime.database.write() as session:
        await session.execute(text("UPDATE erasure SET next_at = now() - interval '1 second'"))
    await worker.run_all(runtime)


async def test_a_list_under_way_begins_anew_without_them(
    client: httpx.AsyncClient, runtime: ServiceRuntime, hear: Hear, people: list[UUID], bearer: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(service, "AT_ONCE", 2)
    where = await _start(client, bearer)
    await operations.step_once(runtime)
    await _forgotten(runtime, hear, people[0])
    await _finish(runtime)
    shown = (await client.get(where, headers=bearer)).json()
    assert shown["result"] == {"customers": 3, "file": "customers.csv"}
    content = (await client.get(f"{where}/files/customers.csv", headers=bearer)).text
    assert [row.split(",")[1] for row in content.splitlines()] == ["trait.name", "Name1", "Name2", "Name3"]
