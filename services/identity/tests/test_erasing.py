"""Forgetting a customer: what was said before stays out however it comes, what is said later begins anew."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.identity.erasing.service import Wanted, erase

Decide = Callable[..., Awaitable[list[ResolvedEvent]]]
PAST = datetime.now(UTC) - timedelta(hours=2)
ADA = {"userId": "ada", "anonymousId": "device-1", "traits": {"email": "ada@example.com", "firstName": "Ada"}}


async def count(session: WriteSession, table: str) -> int:
    return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


@pytest.fixture
async def forgotten(session: WriteSession, decided: Decide, accept: Any, runtime: ServiceRuntime) -> UUID:
    """The name of a customer who was erased."""
    (event,) = await decided(accept(kind="identify", message_id="first", at=PAST, **ADA), seq=1)
    await decided(accept(userId="grace", traits={"email": "grace@example.com"}))
    shared = accept(userId="grace", anonymousId="device-1", message_id="hers", at=PAST - timedelta(days=60))
    await decided(shared)
    await decided(accept(traits={"email": "ada@example.com"}, message_id="parked", at=PAST - timedelta(days=60)))
    assert await count(session, "parked") == 2
    await erase(session, [Wanted(uuid7(), event.customer)])
    await worker.run_all(runtime)
    return event.customer


async def test_only_keyed_hashes_remain_and_everybody_is_told(
    session: WriteSession, forgotten: UUID, emitted: Any, whose: Any
) -> None:
    assert set(await whose(session, "user_id:ada", "email:ada@example.com", "user_id:grace")) == {"user_id:grace"}
    assert (await count(session, "identifier"), await count(session, "tombstone")) == (2, 3)
    assert await count(session, "likeness") == 0
    assert await count(session, "parked") == 1, "of events that were put aside hers, and not Grace's by the same device"
    (fact,) = await emitted("identity.customer.erased.v1")
    assert fact["customer"] == str(forgotten)
    assert (len(fact["vias"]), len(fact["digests"])) == (3, 3)
    (receipt,) = await emitted("identity.erasure.completed.v1")
    kept = {row["table"]: row for row in receipt["tables"] if row["kept"]}
    assert set(kept) == {"map_change"}


@pytest.mark.parametrize("imported", [False, True], ids=["late", "import"])
async def test_what_happened_before_is_refused_and_counted(
    session: WriteSession, forgotten: UUID, decided: Decide, accept: Any, whose: Any, imported: bool
) -> None:
    old = accept(message_id="again", at=PAST, imported=imported, live=False, **ADA)
    by_device = accept(anonymousId="device-1", at=PAST, imported=imported)
    stranger = accept(userId="grace", at=PAST, imported=imported)
    resolved = await decided(old, by_device, stranger)
    assert [event.message_id for event in resolved] == [stranger.message_id]
    assert await count(session, "parked") == 1
    assert (await session.execute(text("SELECT sum(refused) FROM tombstone"))).scalar_one() == 2
    assert set(await whose(session, "user_id:ada", "anonymous_id:device-1")) == set()


async def test_a_redelivered_message_is_not_published_again(forgotten: UUID, decided: Decide, accept: Any) -> None:
    assert await decided(accept(kind="identify", message_id="first", at=PAST, **ADA), seq=1) == []


async def test_who_comes_back_begins_anew_and_the_past_stays_out(
    session: WriteSession, forgotten: UUID, decided: Decide, accept: Any, whose: Any
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=5)
    (event,) = await decided(accept(at=later, received=later, **ADA))
    assert event.customer != forgotten
    assert (await whose(session, "email:ada@example.com"))["email:ada@example.com"] == event.customer
    assert await decided(accept(at=PAST, **ADA)) == []


async def test_a_second_erasure_of_the_same_customer_is_answered(
    session: WriteSession, forgotten: UUID, emitted: Any, runtime: ServiceRuntime
) -> None:
    await erase(session, [Wanted(uuid7(), forgotten)])
    await worker.run_all(runtime)
    assert len(await emitted("identity.customer.erased.v1")) == 2
    assert len(await emitted("identity.erasure.completed.v1")) == 2


async def test_a_list_that_is_imported_once_more_brings_nobody_back(
    session: WriteSession, forgotten: UUID, decided: Decide, accept: Any, whose: Any
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=5)
    imported = {"at": later, "received": later, "imported": True, "live": False}
    assert await decided(accept(traits={"email": "ada@example.com"}, **imported)) == []
    assert set(await whose(session, "email:ada@example.com")) == set()
    (back,) = await decided(accept(at=later, received=later, **ADA))
    (row,) = await decided(accept(traits={"email": "ada@example.com"}, **imported))
    assert row.customer == back.customer, "who came back by herself is in lists again"


async def test_who_shared_no_more_than_a_device_keeps_what_is_theirs(
    session: WriteSession, forgotten: UUID, decided: Decide, accept: Any, whose: Any
) -> None:
    """Grace was offline on the tablet that Ada used as well; what she did comes after Ada was erased."""
    (late,) = await decided(accept(userId="grace", anonymousId="device-1", at=PAST))
    assert late.via == (await whose(session, "user_id:grace"))["user_id:grace"]
    assert await decided(accept(userId="ada", anonymousId="device-2", at=PAST)) == []
    assert await decided(accept(userId="nobody-known", anonymousId="device-1", at=PAST)) == []
    hers = accept(userId="grace", anonymousId="device-1", traits={"email": "ada@example.com"}, at=PAST)
    assert await decided(hers) == [], "an address is a person's"


async def test_who_asks_again_hears_the_same_again(
    session: WriteSession, forgotten: UUID, emitted: Any, runtime: ServiceRuntime
) -> None:
    (first,) = await emitted("identity.customer.erased.v1")
    await erase(session, [Wanted(UUID(first["erasure_id"]), forgotten)])
    await worker.run_all(runtime)
    first, again = await emitted("identity.customer.erased.v1")
    assert {**again, "id": "", "occurred_at": ""} == {**first, "id": "", "occurred_at": ""}
    assert again["id"] != first["id"], "nobody takes it for a repeat"
    assert len(await emitted("identity.erasure.completed.v1")) == 2
