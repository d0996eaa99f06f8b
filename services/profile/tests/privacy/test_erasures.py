"""Erasures: asked for, agreed to, done everywhere with a receipt; here, what profile itself forgets."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common import faults
from perennial.common.contracts import catalogue
from perennial.common.contracts.base import ErasedTable
from perennial.common.contracts.identity import CustomerErased, CustomersMerged
from perennial.common.contracts.loyalty import Account, AccountsChanged
from perennial.common.db import ReadSession, WriteSession
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.profile.privacy.jobs import begin_held
from perennial.profile.privacy.service import SERVICES

Ask = Callable[..., Awaitable[httpx.Response]]
ONCE = {"Idempotency-Key": "e1"}


@pytest.fixture
async def ada(hear: Any, assign: Any, derive: Any) -> list[UUID]:
    """A customer of two identifiers with something in many tables, and a stranger beside."""
    one, other, stranger = uuid7(), uuid7(), uuid7()
    await assign(one, one, version=1)
    await hear(
        identified({"email": "ada@example.com", "name": "Ada Lovelace"}, via=one, customer=one),
        tracked("Order Completed", {"order_id": "o1", "total": 30}, via=one, customer=one),
        tracked("Consent Given", {"purpose": "marketing", "channel": "email"}, via=one, customer=one),
        identified({"phone": "+8613800138000"}, via=other, customer=other),
        identified({"email": "grace@example.com", "name": "Grace Hopper"}, via=stranger, customer=stranger),
    )
    await assign(one, other, version=2)
    await derive()
    return [one, other, stranger]


def erased(*vias: UUID, erasure: UUID | None = None) -> CustomerErased:
    return CustomerErased(erasure_id=erasure or uuid7(), customer=vias[0], vias=list(vias), at=datetime.now(UTC))


async def everything(session: ReadSession) -> str:
    """Every row of every table as text, but facts that are published and age."""
    tables = await session.execute(
        text("""SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
                AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('outbox', 'idempotency')""")
    )
    found = ""
    for table in tables.scalars().all():
        rows = await session.execute(text(f'SELECT t::text FROM "{table}" AS t'))
        found += "".join(f"{table}: {row}\n" for row in rows.scalars())
    return found


async def test_what_is_told_is_forgotten_and_nothing_else(
    runtime: ServiceRuntime, hear: Any, ada: list[UUID], session: WriteSession, client: httpx.AsyncClient
) -> None:
    one, other, stranger = ada
    before = await everything(session)
    assert "Lovelace" in before
    await hear(erased(one, other))
    assert (await client.get(f"/v1/customers/{one}")).status_code == 404, "nobody finds her any more, at once"
    await worker.run_all(runtime)
    after = await everything(session)
    for trace in ("ada@example.com", "Lovelace", "13800138000"):
        assert trace not in after
    assert "Grace Hopper" in after
    assert (await client.get(f"/v1/customers/{stranger}")).status_code == 200
    kept = (await session.execute(text("SELECT count(*) FROM purchase WHERE via = :via"), {"via": one})).scalar_one()
    assert kept == 1, "figures of orders stay"
    (body,) = (
        await session.execute(text("SELECT body FROM outbox WHERE subject = 'profile.erasure.completed.v1'"))
    ).scalars()
    tables = {row["table"]: row for row in json.loads(bytes(body))["tables"]}
    assert tables["trait"]["erased"] == 3
    assert (tables["purchase"]["kept"], tables["purchase"]["because"] is not None) == (1, True)


async def test_what_was_in_flight_is_not_written_again(
    runtime: ServiceRuntime, hear: Any, assign: Any, ada: list[UUID], session: WriteSession
) -> None:
    one, other, _ = ada
    await hear(erased(one, other))
    await worker.run_all(runtime)
    await hear(
        identified({"email": "ada@example.com"}, via=one, customer=one, version=9),
        tracked("Order Completed", {"order_id": "o2", "total": 5, "email": "ada@example.com"}, via=other, customer=one),
    )
    await assign(one, one, version=12)
    assert "ada@example.com" not in await everything(session)
    known = await session.execute(text("SELECT count(*) FROM identity_map WHERE via = :via"), {"via": one})
    assert known.scalar_one() == 0


async def test_it_goes_on_where_a_process_died_and_says_so_once(
    runtime: ServiceRuntime, hear: Any, ada: list[UUID], session: WriteSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hear(*[tracked("Product Viewed", {"n": n}, via=ada[0], customer=ada[0]) for n in range(20)])
    vias = {"vias": [ada[0], ada[1]]}
    events = (await session.execute(text("SELECT count(*) FROM event WHERE via = ANY(:vias)"), vias)).scalar_one()
    monkeypatch.setattr(worker, "BATCH", 3)
    await hear(erased(ada[0], ada[1]))
    steps = 0
    while await worker.step_once(runtime):
        steps += 1
        if steps == 4:  # a fault in the middle of a step leaves what was committed before
            with pytest.raises(RuntimeError):
                await _dying(runtime, monkeypatch)
    assert steps > 20
    assert "ada@example.com" not in await everything(session)
    receipts = await session.execute(text("SELECT count(*) FROM outbox WHERE subject = 'profile.erasure.completed.v1'"))
    assert receipts.scalar_one() == 1
    counts = (await session.execute(text("SELECT counts FROM erasure"))).scalar_one()
    assert counts["event"] == events >= 23, "each row is counted once"


async def _dying(runtime: ServiceRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(_: str) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(faults, "point", die)
        await worker.step_once(runtime)


async def test_a_second_look_finds_what_a_request_in_flight_has_written(
    runtime: ServiceRuntime, hear: Any, ada: list[UUID], session: WriteSession
) -> None:
    await hear(erased(ada[0], ada[1]))
    await worker.run_all(runtime)
    late = text("INSERT INTO counter (via, name, count, first, last) VALUES (:via, 'Late', 1, now(), now())")
    await session.execute(late, {"via": ada[0]})
    assert not await worker.step_once(runtime)
    await session.execute(text("UPDATE erasure SET next_at = now() - interval '1 second'"))
    await worker.run_all(runtime)
    assert "Late" not in await everything(session)
    assert (await session.execute(text("SELECT state FROM erasure"))).scalar_one() == "done"


async def _stated(client: httpx.AsyncClient, erasure: str) -> Any:
    return (await client.get(f"/v1/erasures/{erasure}")).json()


async def test_an_erasure_is_complete_when_every_service_has_answered(
    client: httpx.AsyncClient, hear: Any, ada: list[UUID], session: WriteSession
) -> None:
    made = await client.post(
        "/v1/erasures", json={"customer_id": str(ada[1]), "reason": "customer_request"}, headers=ONCE
    )
    assert made.status_code == 201, made.text
    erasure = UUID(made.json()["id"])
    assert (made.json()["state"], made.json()["customer_id"]) == ("running", str(ada[1]))
    assert made.headers["Location"] == f"/v1/erasures/{erasure}"
    twice = {"Idempotency-Key": "e2"}
    again = await client.post("/v1/erasures", json={"customer_id": str(ada[0]), "reason": "other"}, headers=twice)
    assert (again.status_code, again.json()["code"]) == (409, "already_requested")
    asked = await session.execute(text("SELECT body FROM outbox WHERE subject = 'profile.erasure.requested.v1'"))
    assert [json.loads(bytes(body))["erasure_id"] for body in asked.scalars()] == [str(erasure)]
    for number, service in enumerate(SERVICES):
        assert (await _stated(client, str(erasure)))["state"] == "running"
        contract = catalogue()[f"{service}.erasure.completed.v1"]
        tables = [ErasedTable(table="t", erased=number)]
        await hear(contract(erasure_id=erasure, customer=ada[0], tables=tables))  # type: ignore[call-arg]
    done = await _stated(client, str(erasure))
    assert done["state"] == "completed"
    assert {row["service"]: row["state"] for row in done["services"]} == dict.fromkeys(SERVICES, "completed")
    remains = {row["where"]: datetime.fromisoformat(row["until"]) for row in done["remains"]}
    assert {"outbox", "streams", "backups", "logs", "idempotency"} <= set(remains)
    assert datetime.fromisoformat(done["clean_at"]) == max(remains.values()) > datetime.now(UTC) + timedelta(days=20)


async def test_by_identifier_and_unknown_ones(
    client: httpx.AsyncClient, runtime: ServiceRuntime, assign: Any, session: WriteSession
) -> None:
    via = uuid7()
    key = bytes.fromhex(runtime.settings.identifier_key.get_secret_value())
    digest = blind_index(key, "email", "ada@example.com").hex()
    await assign(via, via, version=1, kind="email", digest=digest)
    body = {"identifier": "email:Ada@Example.com", "reason": "customer_request"}
    made = await client.post("/v1/erasures", json=body, headers=ONCE)
    assert (made.status_code, made.json()["customer_id"]) == (201, str(via))
    assert "ada@" not in (await everything(session)).lower(), "the identifier itself is kept nowhere"
    for wrong, status in (
        ({"identifier": "email:nobody@example.com", "reason": "other"}, 404),
        ({"identifier": "nonsense", "reason": "other"}, 422),
        ({"reason": "other"}, 422),
        ({"customer_id": str(uuid7()), "reason": "other"}, 404),
    ):
        answer = await client.post("/v1/erasures", json=wrong, headers={"Idempotency-Key": str(wrong)})
        assert answer.status_code == status, answer.text


async def test_a_customers_wish_waits_for_somebody_and_a_legal_hold_for_its_day(
    client: httpx.AsyncClient, token: Any, ada: list[UUID], session: WriteSession, runtime: ServiceRuntime
) -> None:
    me = {"Authorization": f"Bearer {token(via=ada[1])}"}
    asked = await client.post("/v1/me/erasure", headers={**me, **ONCE})
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting")
    assert (await client.get("/v1/me/erasure", headers=me)).json()["id"] == asked.json()["id"]
    erasure = asked.json()["id"]
    said = await client.post(f"/v1/erasures/{erasure}/refuse", json={"reason": "legal_claim"})
    assert (said.json()["state"], said.json()["refusal"]) == ("refused", "legal_claim")
    until = datetime.now(UTC) + timedelta(days=3)
    body = {
        "customer_id": str(ada[0]), "reason": "customer_request",
        "legal_hold": {"until": until.isoformat(), "because": "tax"},
    }  # fmt: skip
    held = await client.post("/v1/erasures", json=body, headers={"Idempotency-Key": "h"})
    assert held.json()["state"] == "held"
    await begin_held(runtime)
    assert (await _stated(client, held.json()["id"]))["state"] == "held"
    await session.execute(text("UPDATE erasure_request SET held_until = now() WHERE state = 'held'"))
    await begin_held(runtime)
    assert (await _stated(client, held.json()["id"]))["state"] == "running"
    late = await client.post(f"/v1/erasures/{held.json()['id']}/refuse", json={"reason": "other"})
    assert (late.status_code, late.json()["code"]) == (409, "already_decided")


async def test_a_split_or_a_merge_before_it_begins_leads_it_to_nobody_else(
    client: httpx.AsyncClient, token: Any, assign: Any, ada: list[UUID], session: WriteSession
) -> None:
    one, other, stranger = ada
    me = {"Authorization": f"Bearer {token(via=other)}"}
    asked = (await client.post("/v1/me/erasure", headers={**me, **ONCE})).json()["id"]
    await assign(other, other, version=3)  # they were two people
    assert (await client.get("/v1/me/erasure", headers=me)).json()["id"] == asked
    await client.post(f"/v1/erasures/{asked}/approve")
    bodies = await session.execute(text("SELECT body FROM outbox WHERE subject = 'profile.erasure.requested.v1'"))
    assert [json.loads(bytes(body))["customer"] for body in bodies.scalars()] == [str(other)]
    hers = {"Authorization": f"Bearer {token(via=one)}"}
    assert (await client.post("/v1/me/erasure", headers={**hers, "Idempotency-Key": "o"})).status_code == 201
    await assign(stranger, one, version=4)  # and who asked first is the same as a third
    theirs = {"Authorization": f"Bearer {token(via=stranger)}"}
    assert (await client.get("/v1/me/erasure", headers=theirs)).status_code == 200
    again = await client.post("/v1/me/erasure", headers={**theirs, "Idempotency-Key": "s"})
    assert (again.status_code, again.json()["code"]) == (409, "already_requested")


async def test_a_legal_hold_covers_whom_the_person_was_merged_with(
    client: httpx.AsyncClient, token: Any, assign: Any, ada: list[UUID], session: WriteSession, runtime: ServiceRuntime
) -> None:
    one, _, stranger = ada
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    for number, via in enumerate((one, stranger)):
        hold = {"until": until, "because": "litigation"}
        body = {"customer_id": str(via), "reason": "other", "legal_hold": hold}
        made = await client.post("/v1/erasures", json=body, headers={"Idempotency-Key": f"m{number}"})
        assert made.status_code == 201, made.text
    await assign(one, stranger, version=5)
    past = text("UPDATE erasure_request SET held_until = now() WHERE customer_id = :via")
    await session.execute(past, {"via": stranger})
    await begin_held(runtime)
    states = {row["customer_id"]: row["state"] for row in (await client.get("/v1/erasures")).json()["items"]}
    assert states == {str(one): "held", str(stranger): "held"}
    refused = await client.post(f"/v1/erasures/{made.json()['id']}/approve")
    assert (refused.status_code, refused.json()["code"]) == (409, "legal_hold")
    await session.execute(past, {"via": one})
    await begin_held(runtime)
    states = {row["customer_id"]: row["state"] for row in (await client.get("/v1/erasures")).json()["items"]}
    assert set(states.values()) == {"running"}


async def test_lists_of_several_people_are_kept_without_the_erased_one(
    runtime: ServiceRuntime, hear: Any, ada: list[UUID], session: WriteSession
) -> None:
    one, other, stranger = ada
    wallets = [Account(via=via, balance=7, pending=0, version=3) for via in (one, stranger)]
    told = AccountsChanged(accounts=wallets)
    alone = AccountsChanged(accounts=wallets[:1])
    merged = CustomersMerged(merge_id=uuid7(), survivor=one, merged=other, kind="event")
    park = text("""
        INSERT INTO parked (stream, subject, headers, body, error, trace) VALUES ('s', 's', '{}', :body, '', '')""")
    await hear(erased(one, other))
    for fact in (told, alone, merged):
        await session.execute(park, {"body": fact.model_dump_json().encode()})
    await worker.run_all(runtime)
    (left,) = (await session.execute(text("DELETE FROM parked RETURNING body"))).scalars()
    assert AccountsChanged.model_validate_json(bytes(left)).accounts == wallets[1:]
    await hear(told)
    await hear(alone)
    await hear(merged)
    assert (await session.execute(text("SELECT via FROM account"))).scalars().all() == [stranger]
    assert (await session.execute(text("SELECT count(*) FROM merger"))).scalar_one() == 0


async def test_what_was_somebody_elses_then_is_not_theirs_today(
    runtime: ServiceRuntime, hear: Any, ada: list[UUID], session: WriteSession
) -> None:
    one, _, stranger = ada
    body = json.dumps({"events": [{"via": str(stranger), "customer": str(one)}]}).encode()
    await hear(erased(one))
    await session.execute(
        text(
            "INSERT INTO parked (stream, subject, headers, body, error, trace) VALUES ('s', 's', '{}', :body, '', '')"
        ),
        {"body": body},
    )
    await worker.run_all(runtime)
    assert (await session.execute(text("SELECT count(*) FROM parked"))).scalar_one() == 1, "she was split off since"
