"""What staff say of a tier: until a day, with the reason, on the record."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.contracts.loyalty import TierChanged
from perennial.common.derive import Stale
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.loyalty.tiers import service


async def say(client: httpx.AsyncClient, customer: UUID, **body: Any) -> httpx.Response:
    sent = {"tier": "gold", "until": (utc_now() + timedelta(days=30)).isoformat(), "reason": "an old friend", **body}
    key = sent.pop("key", uuid7().hex)
    path = f"/v1/loyalty/accounts/{customer}/tier-overrides"
    return await client.post(path, json=sent, headers={"Idempotency-Key": key})


@pytest.fixture
async def customer(shop: Any) -> UUID:
    via = uuid7()
    await shop.assign(via, via)
    return via


async def test_up_at_once_and_back_when_it_ends(shop: Any, client: httpx.AsyncClient, customer: UUID) -> None:
    made = await say(client, customer)
    assert made.status_code == 201, made.text
    await shop.derive()
    tier = (await client.get(f"/v1/loyalty/accounts/{customer}")).json()["tier"]
    assert (tier["name"], tier["by_staff"], tier["projected"]["name"]) == ("gold", True, "member")
    assert tier["projected"]["at"] == made.json()["until"]
    later = utc_now() + timedelta(days=31)
    await service.refresh(shop.session, Stale({customer: True}, []), later)
    assert (await shop.account(customer)).tier.name == "member"
    assert [told["tier"] for told in await shop.said(TierChanged)] == ["gold", "member"]
    await service.refresh(shop.session, Stale({customer: True}, []), later)
    assert await shop.session.scalar(text("SELECT count(*) FROM tier_state")) == 0  # there is nothing else of them


async def test_taken_back_it_is_what_was_earned(shop: Any, client: httpx.AsyncClient, customer: UUID) -> None:
    await shop.order(customer, 600)
    made = (await say(client, customer, tier="member", exact=True)).json()
    await shop.derive()
    assert (await shop.account(customer)).tier.name == "member"
    path = f"/v1/loyalty/accounts/{customer}/tier-overrides"
    for _ in range(2):
        assert (await client.delete(f"{path}/{made['id']}")).status_code == 204
    await shop.derive()
    assert (await shop.account(customer)).tier.name == "silver"
    [listed] = (await client.get(path)).json()["items"]
    assert listed | {"ended_at": None, "ended_by": None} == made
    assert listed["ended_at"]
    assert (await client.delete(f"{path}/{uuid7()}")).status_code == 404
    stranger = uuid7()
    await shop.assign(stranger, stranger)
    assert (await client.delete(f"/v1/loyalty/accounts/{stranger}/tier-overrides/{made['id']}")).status_code == 404
    trail = await shop.session.execute(text("SELECT action, subject, detail FROM audit ORDER BY id"))
    rows = trail.all()
    assert [(row.action, row.subject) for row in rows] == [
        ("tier.overridden", str(customer)),
        ("tier.override_ended", str(customer)),
    ]
    assert rows[0].detail["reason"] == "an old friend"
    history = (await client.get(f"/v1/loyalty/accounts/{customer}/tier-history")).json()["items"]
    assert [(item["tier"], item["previous"], item["why"]) for item in history] == [
        ("silver", "member", "override_ended")
    ]


async def test_a_merge_brings_the_word_along_and_its_undo_takes_it(
    shop: Any, client: httpx.AsyncClient, customer: UUID
) -> None:
    other = uuid7()
    await shop.assign(other, other)
    await shop.order(other, 10)
    await say(client, customer)
    await shop.assign(other, customer)
    await shop.derive()
    assert (await shop.account(other)).tier.name == "gold"
    await shop.assign(customer, customer)
    await shop.derive()
    assert [(await shop.account(who)).tier.name for who in (customer, other)] == ["gold", "member"]
    history = (await client.get(f"/v1/loyalty/accounts/{other}/tier-history?limit=1")).json()
    assert history["items"][0]["tier"] == "member"
    rest = await client.get(f"/v1/loyalty/accounts/{other}/tier-history?limit=9&cursor={history['next_cursor']}")
    assert [item["tier"] for item in rest.json()["items"]] == ["gold"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"tier": "diamond"}, "/tier"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"until": "2999-01-01T00:00:00Z"}, "/until"),
        ({"until": 5}, "/until"),
        ({"reason": " "}, "/reason"),
        ({"exact": "yes"}, "/exact"),
    ],
    ids=["tier", "past", "far", "number", "reason", "exact"],
)
async def test_bad_words_name_the_field(client: httpx.AsyncClient, customer: UUID, body: Any, pointer: str) -> None:
    answer = await say(client, customer, **body)
    assert answer.status_code == 422
    found = answer.json()
    assert pointer in {found.get("pointer"), *(error["pointer"] for error in found.get("errors", []))}


async def test_a_key_that_was_forgotten_is_not_used_again(shop: Any, client: httpx.AsyncClient, customer: UUID) -> None:
    made = await say(client, customer, key="once")
    assert made.status_code == 201
    await shop.session.execute(text("DELETE FROM idempotency"))  # seven days later
    again = await say(client, customer, key="once")
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_key_reused")


async def test_who_is_forgotten_leaves_no_tier_and_no_word_of_it(
    shop: Any, client: httpx.AsyncClient, customer: UUID
) -> None:
    await shop.order(customer, 600)
    stranger = uuid7()
    await shop.assign(stranger, stranger)
    for person in (customer, stranger):
        assert (await say(client, person)).status_code == 201
    await shop.derive()
    await shop.say(CustomerErased(erasure_id=uuid7(), customer=customer, vias=[customer], at=utc_now()))
    await worker.run_all(shop.runtime)
    for table, column in (("tier_state", "customer_id"), ("tier_history", "customer_id"), ("tier_override", "via")):
        left = await shop.session.execute(text(f"SELECT {column} FROM {table}"))
        assert set(left.scalars()) == {stranger}, table
