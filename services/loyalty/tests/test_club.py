"""Memberships, referrals and debts of splits in what they share: previews, erasure, the proof of the books."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.preview.looking import Assigned
from perennial.common.privacy import worker
from perennial.common.service import Service, ServiceRuntime
from perennial.common.testing.events import tracked
from perennial.common.testing.previews import World
from perennial.common.timers import Timer
from perennial.loyalty.ledger.service import LedgerBroken, prove
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.referrals import service as referrals

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
PLAN = {"code": "plus", "name": {"en": "Plus"}, "price": 9, "currency": "USD", "period": "P1M", "skus": ["PLUS"]}
REFERRAL = {"link": "https://x.example/{code}", "hold_days": 0, "referrer": {"points": 5}, "friend": {"points": 7}}


async def test_a_preview_says_what_would_be_waived(
    service: Service, settings: Any, committed: Database, committing: Any
) -> None:
    world = World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]
    one, other = uuid7(), uuid7()
    async with committing() as shop:
        await shop.programme(BEGINNING, split_policy="waive")
        await shop.assign(one, one)
        await shop.assign(other, other)
        await shop.order(one, 100)
        await shop.order(other, 60)
    await world.assign(Assigned(via=other, customer_id=one, version=10**6))
    async with committed.write() as session:
        await points.spend(session, Posting(uuid7(), "spend", other, utc_now(), "coat", -150))
    await world.derive()
    seen = await world.preview(Assigned(via=other, customer_id=other, version=10**6 + 1))
    assert (seen.before[one]["balance"], seen.after[one]["balance"], seen.after[other]["balance"]) == (10, 100, 0)
    await world.assign(Assigned(via=other, customer_id=other, version=10**6 + 1))
    shown = await world.shown([one, other])
    assert [shown[key]["balance"] for key in (one, other)] == [100, 0]
    back = await world.preview(Assigned(via=other, customer_id=one, version=10**6 + 2))
    assert back.after[one]["balance"] == 10


async def test_who_is_erased_leaves_books_without_a_person(shop: Any) -> None:
    await shop.programme(BEGINNING, plans=[PLAN], referral=REFERRAL)
    anna, bob = uuid7(), uuid7()
    for via in (anna, bob):
        await shop.assign(via, via)
    code = await referrals.code_for(shop.session, anna)
    at = utc_now() - timedelta(days=2)
    said = {"products": [{"sku": "PLUS", "price": 9}], "discount": 3, "referral_code": code, "device_id": "device-1"}
    await shop.order(bob, 90, at=at, properties=said)
    await shop.derive()
    (referral,) = (await shop.session.execute(text("SELECT id FROM referral"))).scalars()
    await referrals.mature(shop.session, [Timer("referral", str(referral), utc_now())])
    await shop.derive()
    assert [await shop.balance(via) for via in (anna, bob)] == [5, 97]
    await shop.session.execute(text("UPDATE referral SET note = 'a friend of Ada'"))
    for via in (anna, bob):
        await shop.say(CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=utc_now()))
        await worker.run_all(shop.runtime)
        await shop.prove()
    empty = ("membership", "membership_event", "member_saving", "referral_code", "referral_touch", "referral_signal")
    for table in empty:
        left = await shop.session.execute(text(f"SELECT count(*) FROM {table}"))
        assert left.scalar_one() == 0, table
    row = (await shop.session.execute(text("SELECT state, note FROM referral"))).one()
    assert tuple(row) == ("rewarded", None)
    assert (await shop.session.execute(text("SELECT sum(balance) FROM account"))).scalar_one() == 102


async def test_the_proof_looks_at_what_was_waived(shop: Any) -> None:
    one, other = uuid7(), uuid7()
    await shop.programme(BEGINNING, split_policy="waive")
    await shop.order(one, 100)
    await shop.assign(one, one, other)
    await points.spend(shop.session, Posting(uuid7(), "spend", other, utc_now(), "coat", -70))
    await shop.assign(other, other)
    await shop.prove()
    nested = await shop.session.begin_nested()
    await shop.session.execute(text("UPDATE split_debt SET points = 71"))
    with pytest.raises(LedgerBroken, match=r"what a split waived is a lot of its own.*debt_id="):
        await prove(shop.session)
    await nested.rollback()


async def test_an_order_in_a_batch_with_its_touch_and_its_refund(shop: Any) -> None:
    """All at once, in the wrong sequence: the same end."""
    await shop.programme(BEGINNING, referral=REFERRAL)
    anna, bob = uuid7(), uuid7()
    await shop.assign(anna, anna)
    code, at = await referrals.code_for(shop.session, anna), utc_now() - timedelta(days=2)
    await shop.say(
        tracked("Order Refunded", {"order_id": "A"}, via=bob, at=at),
        tracked("Order Completed", {"order_id": "A", "revenue": 50}, via=bob, at=at),
        tracked("Referral Clicked", {"code": code}, via=bob, at=at - timedelta(hours=1)),
    )
    await shop.derive()
    states = await shop.session.execute(text("SELECT state FROM referral"))
    assert list(states.scalars()) == ["void"]


async def test_the_programme_takes_plans_referral_and_policy_and_gives_them_back(client: httpx.AsyncClient) -> None:
    current = await client.get("/v1/loyalty/programme")
    body = {**current.json(), "plans": [PLAN], "referral": REFERRAL, "split_policy": "review"}
    put = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": current.headers["ETag"]})
    assert put.status_code == 200, put.text
    seen = await client.get("/v1/loyalty/programme")
    assert (seen.json()["plans"][0]["code"], seen.json()["referral"]["hold_days"]) == ("plus", 0)
    again = await client.put("/v1/loyalty/programme", json=seen.json(), headers={"If-Match": seen.headers["ETag"]})
    assert again.status_code == 200, again.text
    assert again.json()["split_policy"] == "review"
    double = {**seen.json(), "plans": [PLAN, {**PLAN, "code": "more"}]}
    refused = await client.put("/v1/loyalty/programme", json=double, headers={"If-Match": again.headers["ETag"]})
    assert (refused.status_code, "skus must be unique" in refused.text) == (422, True)
