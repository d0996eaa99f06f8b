"""A receipt that got lost is asked for again, ever less often; who has erased already looks once more and answers."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts import catalogue
from perennial.common.contracts.identity import CustomerErased
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.profile.privacy.jobs import ask_again
from perennial.profile.privacy.service import SERVICES

ASKED = text("SELECT body FROM outbox WHERE subject = 'profile.erasure.requested.v1' ORDER BY id")
ANSWERED = text("SELECT body FROM outbox WHERE subject = 'profile.erasure.completed.v1' ORDER BY id")


async def _bodies(session: WriteSession, statement: Any) -> list[Any]:
    return [json.loads(bytes(body)) for body in (await session.execute(statement)).scalars()]


async def _asked(session: WriteSession) -> int:
    return len(await _bodies(session, ASKED))


async def _pass(session: WriteSession, minutes: int) -> None:
    statement = "UPDATE erasure_request SET {0} = {0} - make_interval(mins => :n)"
    for column in ("decided_at", "asked_at"):
        await session.execute(text(statement.format(column)), {"n": minutes})


@pytest.fixture
async def erasure(client: httpx.AsyncClient, assign: Any) -> tuple[UUID, UUID]:
    """One that has begun, and whose it is."""
    via = uuid7()
    await assign(via, via, version=1)
    body = {"customer_id": str(via), "reason": "customer_request"}
    made = await client.post("/v1/erasures", json=body, headers={"Idempotency-Key": "e"})
    assert made.json()["waits_for"] == list(SERVICES)
    return UUID(made.json()["id"]), via


async def test_receipts_are_asked_for_again_and_it_is_shown_whose_are_missing(
    client: httpx.AsyncClient, hear: Any, erasure: tuple[UUID, UUID], session: WriteSession, runtime: ServiceRuntime
) -> None:
    made, via = erasure
    for name in SERVICES[1:]:
        await hear(catalogue()[f"{name}.erasure.completed.v1"](erasure_id=made, customer=via, tables=[]))  # type: ignore[call-arg]
    shown = (await client.get(f"/v1/erasures/{made}")).json()
    assert (shown["state"], shown["waits_for"], shown["asked_at"]) == ("running", [SERVICES[0]], None)
    (listed,) = (await client.get("/v1/erasures")).json()["items"]
    assert listed["waits_for"] == [SERVICES[0]]
    counts = []
    for minutes in (0, 20, 15, 20, 15, 50, 25):
        await _pass(session, minutes)
        await ask_again(runtime)
        counts.append(await _asked(session))
    assert counts == [1, 1, 2, 2, 3, 3, 4], "half an hour, then as long again as it has taken so far"
    assert {(row["erasure_id"], row["customer"]) for row in await _bodies(session, ASKED)} == {(str(made), str(via))}
    assert (await client.get(f"/v1/erasures/{made}")).json()["asked_at"] is not None
    await hear(catalogue()[f"{SERVICES[0]}.erasure.completed.v1"](erasure_id=made, customer=via, tables=[]))  # type: ignore[call-arg]
    shown = (await client.get(f"/v1/erasures/{made}")).json()
    assert (shown["state"], shown["waits_for"]) == ("completed", [])
    await _pass(session, 10_000)
    await ask_again(runtime)
    assert await _asked(session) == 4


async def test_who_has_erased_already_answers_again(
    hear: Any, erasure: tuple[UUID, UUID], session: WriteSession, runtime: ServiceRuntime
) -> None:
    made, via = erasure
    told = CustomerErased(erasure_id=made, customer=via, vias=[via], at=datetime.now(UTC))
    await hear(told)
    await hear(told.model_copy(update={"id": uuid7()}))
    await worker.run_all(runtime)
    assert len(await _bodies(session, ANSWERED)) == 1, "it was at it"
    late = text("INSERT INTO counter (via, name, count, first, last) VALUES (:via, 'Late', 1, now(), now())")
    await session.execute(late, {"via": via})
    await hear(told.model_copy(update={"id": uuid7(), "vias": [], "digests": []}))
    await worker.run_all(runtime)
    assert len(await _bodies(session, ANSWERED)) == 2
    assert (await session.execute(text("SELECT count(*) FROM counter"))).scalar_one() == 0, "whose they were is known"
