"""Accounts hold points and ids; what people wrote beside them is masked."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from perennial.common.ids import uuid7
from perennial.common.testing.exposure import exposed, read_all

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
async def places(client: httpx.AsyncClient, customer: str) -> dict[str, str]:
    """Where the routes lead: to the customer, and to a redemption whose payment and note say too much."""
    mug = {"kind": "goods", "name": {"en": "Mug"}, "points": 1}
    reward = (await client.post("/v1/rewards", json=mug, headers={"Idempotency-Key": uuid4().hex})).json()["id"]
    path, found = f"/v1/loyalty/accounts/{customer}/redemptions", {"customer_id": customer, "reward_id": reward}
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
    for path in (f"/v1/loyalty/accounts/{customer}/ledger", f"/v1/redemptions/{places['redemption_id']}"):
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
