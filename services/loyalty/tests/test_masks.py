"""Accounts hold points and ids; what people wrote beside them is masked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.common.testing.events import tracked
from perennial.common.testing.exposure import exposed, read_all
from perennial.loyalty.points import service as points
from perennial.loyalty.points.posting import Posting
from perennial.loyalty.referrals import service as referrals

ADDRESS, PHONE = "zebulon@secret.example", "13877776666"
ORDER = "20260131000123456"


@pytest.fixture
async def customer(shop: Any, client: httpx.AsyncClient) -> str:
    """A customer with an order, and with postings whose reasons and references say too much."""
    via = uuid7()
    await shop.assign(via, via)
    await shop.order(via, "900", ORDER, properties={"email": ADDRESS, "shipping_address": {"phone": PHONE}})
    await shop.order(via, "90", ADDRESS)
    await shop.derive()
    path = f"/v1/loyalty/accounts/{via}"
    for verb, body in (
        ("adjust", {"points": 500, "reason": f"sorry, {ADDRESS}", "reference": f"call {PHONE}"}),
        ("spend", {"points": 5, "reason": f"for {PHONE}", "reference": PHONE}),
    ):
        posted = await client.post(f"{path}/{verb}", json=body, headers={"Idempotency-Key": uuid4().hex})
        assert posted.status_code == 201, posted.text
    return str(via)


@pytest.fixture
async def operation(shop: Any, client: httpx.AsyncClient, customer: str) -> str:
    """A programme that was tried on the customer, whose tier staff gave for too good a reason."""
    path = f"/v1/loyalty/accounts/{customer}/tier-overrides"
    said = {"tier": "gold", "until": (utc_now() + timedelta(days=1)).isoformat(), "reason": f"{ADDRESS}, {PHONE}"}
    assert (await client.post(path, json=said, headers={"Idempotency-Key": uuid4().hex})).status_code == 201
    body = {"earn_rules": [], "tiers": [{"name": "base", "threshold": 0}]}
    started = await client.post("/v1/loyalty/programme/simulate", json=body, headers={"Idempotency-Key": uuid4().hex})
    while await worker.step_once(shop.runtime):
        pass
    return str(started.json()["id"])


@pytest.fixture
async def club(shop: Any, client: httpx.AsyncClient, customer: str, operation: str) -> dict[str, str]:
    """A membership, a referral and a debt, in whose references and notes there is too much."""
    assert operation
    plan = {"code": "plus", "name": {"en": "Plus"}, "price": 9, "currency": "USD", "period": "P1M"}
    referral = {"link": "https://x.example/{code}", "referrer": {"points": 5}, "friend": {"points": 5}}
    tiers = [{"name": name, "threshold": at} for name, at in (("member", 0), ("gold", 1500))]
    await shop.programme(utc_now() - timedelta(days=900), plans=[plan], referral=referral, tiers=tiers)
    said = {"plan": "plus", "payment_id": ADDRESS, "shipping_address": {"phone": PHONE, "street": ADDRESS}}
    await shop.say(tracked("Membership Purchased", said, via=UUID(customer)))
    friend, lender = uuid7(), uuid7()
    for via in (friend, lender):
        await shop.assign(via, via)
    code = await referrals.code_for(shop.session, UUID(customer))
    for via in (UUID(customer), friend):
        await shop.order(via, 90, properties={**said, "referral_code": code})
    await shop.order(lender, 100)
    await shop.assign(lender, friend)
    await points.spend(shop.session, Posting(uuid7(), "spend", friend, utc_now(), "coat", -150))
    await shop.assign(friend, friend)
    await shop.derive()
    (debt,) = (await client.get("/v1/loyalty/debts")).json()["items"]
    (held,) = (await client.get("/v1/loyalty/referrals")).json()["items"]
    body = {"decision": "waive", "reason": f"{ADDRESS} {PHONE}"}
    decided = await client.post(f"/v1/loyalty/debts/{debt['id']}/decide", json=body, headers={"Idempotency-Key": "d"})
    assert decided.status_code == 200, decided.text
    path, body = f"/v1/loyalty/referrals/{held['id']}/reject", {"reason": f"{ADDRESS} {PHONE}"}
    decided = await client.post(path, json=body, headers={"Idempotency-Key": "r"})
    assert decided.status_code == 200, decided.text
    return {"referral_id": held["id"]}


@pytest.fixture
async def earnings(shop: Any, client: httpx.AsyncClient, customer: str, club: dict[str, str]) -> dict[str, str]:
    """A review whose words say too much, and an order whose rules read what says too much."""
    assert club
    rules = [
        {"name": trait, "condition": {"trait": trait, "exists": True}}
        for trait in ("email", "shipping_address.phone", "note")
    ]
    content = [{"kind": "review", "event": "Product Reviewed", "text": "words", "media": "photos", "subject": "about"}]
    tiers = [{"name": name, "threshold": at} for name, at in (("member", 0), ("gold", 1500))]
    await shop.programme(utc_now() - timedelta(days=900), earn_rules=rules, content=content, tiers=tiers)
    words = f"{ADDRESS} {PHONE}"
    said: dict[str, Any] = {
        "id": ADDRESS,
        "about": PHONE,
        "words": words,
        "photos": [f"https://x.example/?to={ADDRESS}&tel={PHONE}"],
    }
    await shop.say(tracked("Product Reviewed", said, via=UUID(customer)))
    said = {"email": ADDRESS, "shipping_address": {"phone": PHONE}, "note": words}
    await shop.order(UUID(customer), 20, "told", properties=said)
    await shop.derive()
    (review,) = (await client.get("/v1/loyalty/content")).json()["items"]
    body, keyed = {"note": words}, {"Idempotency-Key": "m"}
    assert (await client.post(f"/v1/loyalty/content/{review['id']}/reject", json=body, headers=keyed)).is_success
    lines = (await client.get(f"/v1/loyalty/accounts/{customer}/ledger")).json()["items"]
    line = next(line["id"] for line in lines if line["reference"] == "told")
    return {
        "content_id": review["id"],
        "posting_id": line,
        "/v1/loyalty/explain": "/v1/loyalty/explain?source=shop&order_id=told",
    }


@pytest.fixture
async def places(
    client: httpx.AsyncClient, customer: str, operation: str, club: dict[str, str], earnings: dict[str, str]
) -> dict[str, str]:
    """Where the routes lead: to the customer, and to a redemption whose payment and note say too much."""
    mug = {"kind": "goods", "name": {"en": "Mug"}, "points": 1}
    reward = (await client.post("/v1/rewards", json=mug, headers={"Idempotency-Key": uuid4().hex})).json()["id"]
    path, found = f"/v1/loyalty/accounts/{customer}/redemptions", {"customer_id": customer, "reward_id": reward}
    found |= {
        **club,
        **earnings,
        "operation_id": operation,
        "name": "moves.csv",
        "/v1/loyalty/reports/{name}": "/v1/loyalty/reports/rewards",
    }
    for verb, body in (
        ("", {"reward_id": reward}),
        ("confirm", {"payment_reference": ADDRESS}),
        ("cancel", {"reason": f"call {PHONE}"}),
    ):
        where = f"/v1/redemptions/{found['redemption_id']}/{verb}" if verb else path
        done = await client.post(where, json=body, headers={"Idempotency-Key": uuid4().hex})
        found["redemption_id"] = done.json()["id"]
    return found


async def test_nothing_personal_is_read_by_whoever_sees_nothing(
    app: FastAPI, client: httpx.AsyncClient, token: Callable[..., str], customer: str, places: dict[str, str]
) -> None:
    answers = await read_all(app, client, token("*", fields=()), places)
    assert {answer.status_code for answer in answers.values()} == {200}
    assert list(exposed(answers, (ADDRESS, PHONE))) == []
    found = set(exposed(await read_all(app, client, token("*"), places), (ADDRESS, PHONE)))
    account = f"/v1/loyalty/accounts/{customer}"
    for path in ("/v1/loyalty/debts", "/v1/loyalty/referrals", f"/v1/loyalty/referrals/{places['referral_id']}"):
        assert found >= {(path, secret) for secret in (ADDRESS, PHONE)}
    assert (f"{account}/memberships", ADDRESS) in found
    explained = f"{account}/ledger/{places['posting_id']}/explain"
    for path in (explained, places["/v1/loyalty/explain"], f"/v1/loyalty/content/{places['content_id']}"):
        assert found >= {(path, secret) for secret in (ADDRESS, PHONE)}
    for path in (f"{account}/ledger", f"{account}/tier-overrides", f"/v1/redemptions/{places['redemption_id']}"):
        assert found >= {(path, secret) for secret in (ADDRESS, PHONE)}


async def test_the_ledger_is_still_of_use(client: httpx.AsyncClient, token: Callable[..., str], customer: str) -> None:
    few = {"Authorization": f"Bearer {token('loyalty:read', fields=('personal',))}"}
    lines = (await client.get(f"/v1/loyalty/accounts/{customer}/ledger", headers=few)).json()["items"]
    said = {(line["reason"], line["reference"]) for line in lines}
    assert said >= {
        ("for 138****6666", "138****6666"),
        ("sorry, z****@secret.example", "call 138****6666"),
        ("order", ORDER),
        ("order", "z****@secret.example"),
    }


async def test_customers_read_their_own_words(
    client: httpx.AsyncClient, token: Callable[..., str], customer: str
) -> None:
    mine = {"Authorization": f"Bearer {token(via=customer)}"}
    lines = (await client.get("/v1/me/loyalty/ledger", headers=mine)).json()["items"]
    assert (f"for {PHONE}", PHONE) in {(line["reason"], line["reference"]) for line in lines}
