"""Spending: never more than there is, and once per key."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import AccountsChanged, PointsSpent
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.loyalty.ledger.service import verify
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting

BODY = {"points": 30, "reason": "coffee", "reference": "till 4"}


async def _spend(client: httpx.AsyncClient, customer: UUID, body: Any = None, key: str = "k1") -> httpx.Response:
    return await client.post(
        f"/v1/loyalty/accounts/{customer}/spend", json=body or BODY, headers={"Idempotency-Key": key}
    )


async def test_points_are_taken_and_told(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    answer = await _spend(client, via)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["balance"], body["points"], body["customer_id"]) == (70, 30, str(via))
    account = await shop.account(via)
    assert (account.balance, account.spent, account.earned) == (70, 30, 100)
    [told] = await shop.said(PointsSpent)
    assert (told["points"], told["reference"], told["posting_id"]) == (30, "till 4", body["posting_id"])
    assert (await shop.said(AccountsChanged))[-1]["accounts"][0]["balance"] == 70


async def test_the_same_key_gets_the_same_answer(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    first, again = await _spend(client, via), await _spend(client, via)
    assert again.json() == first.json()
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    other = await _spend(client, via, {**BODY, "points": 31})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await shop.balance(via) == 70


async def test_a_key_is_remembered_by_the_ledger_after_the_answer_is_gone(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    await _spend(client, via)
    await shop.session.execute(text("DELETE FROM idempotency"))
    answer = await _spend(client, via)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert await shop.balance(via) == 70


async def test_a_key_is_required(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    answer = await client.post(f"/v1/loyalty/accounts/{via}/spend", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


async def test_too_few_points_say_how_many_there_are(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 29)
    answer = await _spend(client, via)
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_points")
    assert answer.json()["errors"][0]["pointer"] == "/points"
    assert "the balance is 29" in answer.json()["detail"]
    await shop.order(via, 1)
    assert (await _spend(client, via)).status_code == 201  # a refusal does not use up the key


async def test_an_identifier_spends_what_its_customer_has(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(mail, phone, mail)
    await shop.order(mail, 100, customer=mail)
    answer = await client.post(
        "/v1/me/loyalty/spend",
        json=BODY,
        headers={"Idempotency-Key": "me", "Authorization": f"Bearer {token(via=phone)}"},
    )
    assert (answer.status_code, answer.json()["balance"]) == (201, 70)
    rows = await shop.session.execute(text("SELECT balance FROM account WHERE via = :via"), {"via": phone})
    assert rows.scalar_one() == -30  # openly, under the identifier that spent
    assert await shop.balance(mail) == 70


async def test_a_customer_without_an_account_has_nothing_to_spend(client: httpx.AsyncClient, token: Any) -> None:
    headers = {"Idempotency-Key": "me", "Authorization": f"Bearer {token(via=uuid7())}"}
    answer = await client.post("/v1/me/loyalty/spend", json=BODY, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "insufficient_points")


async def test_adjusting_needs_its_own_scope_and_leaves_a_trace(
    shop: Any, client: httpx.AsyncClient, token: Any
) -> None:
    via = uuid7()
    await shop.order(via, 10)
    path, key = f"/v1/loyalty/accounts/{via}/adjust", {"Idempotency-Key": "a"}
    weak = {**key, "Authorization": f"Bearer {token('loyalty:write')}"}
    assert (await client.post(path, json={"points": 5, "reason": "x"}, headers=weak)).status_code == 403
    up = await client.post(path, json={"points": 5, "reason": "apology"}, headers=key)
    assert (up.status_code, up.json()["balance"]) == (201, 15)
    down = await client.post(path, json={"points": -20, "reason": "fraud"}, headers={"Idempotency-Key": "b"})
    assert (down.status_code, down.json()["balance"]) == (201, -5)
    trail = await shop.session.execute(text("SELECT principal, action, detail FROM audit ORDER BY id"))
    assert [(row.principal, row.action, row.detail["reason"]) for row in trail] == [
        ("api_key:tester", "loyalty.adjusted", "apology"),
        ("api_key:tester", "loyalty.adjusted", "fraud"),
    ]
    assert (await shop.account(via)).adjusted == -15


async def _attempt(database: Database, via: UUID, number: int) -> int:
    posting = Posting(uuid7(), "spend", via, utc_now(), f"race {number}", -3)
    try:
        async with database.write() as session:
            await service.spend(session, posting)
    except Conflict:
        return 0
    return 3


async def test_fifty_at_once_never_overdraw_one_identifier(committing: Any, committed: Database) -> None:
    """Each finds the points there, and writes before it has the account; who comes too late takes it back."""
    via = uuid7()
    async with committing() as shop:
        await shop.order(via, 100)
    spent = await asyncio.gather(*[_attempt(committed, via, n) for n in range(50)])
    async with committing() as shop:
        account = await shop.account(via)
        assert (sum(spent), account.balance, account.spent) == (99, 1, 99)
        await shop.derive()
    await verify(committed)


async def test_fifty_at_once_never_overdraw(committing: Any, committed: Database) -> None:
    phone, mail = uuid7(), uuid7()
    async with committing() as shop:
        await shop.assign(mail, phone, mail)
        await shop.order(phone, 60, customer=mail)
        await shop.order(mail, 40, customer=mail)
    spent = await asyncio.gather(*[_attempt(committed, (phone, mail)[n % 2], n) for n in range(50)])
    async with committing() as shop:
        account = await shop.account(mail)
        assert (sum(spent), account.balance, account.spent) == (99, 1, 99)
        await shop.derive()
    await verify(committed)


async def test_a_programme_that_this_process_has_not_read_is_found_out(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    await shop.programme(utc_now(), currencies=[{"code": "stars"}, {"code": "points"}])
    unread = await _spend(client, via)  # another process has replaced it
    assert (unread.status_code, unread.json()["detail"]) == (409, "points: 30 stars asked, the balance is 0")
    await shop.programme(utc_now(), currencies=[{"code": "points"}, {"code": "gems"}, {"code": "stars"}])
    named = await _spend(client, via, {**BODY, "currency": "gems"}, key="k2")
    assert (named.status_code, named.json()["code"]) == (409, "insufficient_points")
    assert (await _spend(client, via, key="k3")).json()["balance"] == 70


async def test_what_has_expired_goes_before_anybody_spends(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    await shop.session.execute(text("UPDATE lot SET expires_at = now() - interval '1 hour'"))
    answer = await _spend(client, via)
    assert (answer.status_code, answer.json()["detail"]) == (409, "points: 30 points asked, the balance is 0")


async def test_the_same_key_at_once_spends_once(
    committing: Any, committed: Database, app: Any, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    async with committing() as shop:
        await shop.order(via, 100)
    app.state.runtime.database = committed
    answers = await asyncio.gather(*[_spend(client, via) for _ in range(8)])
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json().get("code") for answer in answers if answer.status_code == 409} <= {"in_flight"}
    async with committing() as shop:
        assert await shop.balance(via) == 70


@pytest.fixture
def spend_mine(client: httpx.AsyncClient, token: Callable[..., str]) -> Callable[..., Awaitable[httpx.Response]]:
    """`await spend_mine(via)`: 30 points by a token that was made for this identifier."""

    async def spend(via: UUID, points: int = 30, key: str = "k1") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token(via=via, who=str(via))}", "Idempotency-Key": key}
        return await client.post("/v1/me/loyalty/spend", json={**BODY, "points": points}, headers=headers)

    return spend


async def test_one_customer_by_two_tokens_is_one_principal(shop: Any, spend_mine: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(mail, phone, mail)
    await shop.order(mail, 100, customer=mail)
    first, again = await spend_mine(mail), await spend_mine(phone)
    assert (first.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await spend_mine(phone, 31)).json()["code"] == "idempotency_key_reused"
    assert await shop.balance(mail) == 70
    assert (await spend_mine(phone, key="k2")).json()["balance"] == 40


async def test_each_side_of_a_merge_keeps_its_answers(shop: Any, spend_mine: Any) -> None:
    one, two, third = uuid7(), uuid7(), uuid7()
    for via in (one, two, third):
        await shop.order(via, 100)
    first, second = await spend_mine(one, 10), await spend_mine(two, 20)
    assert second.json()["posting_id"] != first.json()["posting_id"], "two customers may choose the same key"
    await shop.assign(two, one, third)
    assert (await spend_mine(one, 10)).json() == first.json()
    assert (await spend_mine(two, 20)).json() == second.json()
    for points, answer in ((10, first), (20, second)):
        assert (await spend_mine(third, points)).json() == answer.json()
    assert await shop.balance(two) == 270
    await shop.assign(one, one)  # the merge is undone
    assert (await spend_mine(one, 10)).json() == first.json()
    assert (await spend_mine(one, 20)).json()["code"] == "idempotency_key_reused"


async def test_a_key_kept_before_customers_were_one_principal_still_answers(shop: Any, spend_mine: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.order(phone, 100)
    first = await spend_mine(phone)
    scope = f"customer\0{phone}\0POST\0/v1/me/loyalty/spend\0[]\0k1"
    kept = await shop.session.execute(text("SELECT id FROM idempotency"))
    assert kept.scalars().all() == [hashlib.sha256(scope.encode()).digest()]
    await shop.assign(phone, phone, mail)
    assert (await spend_mine(mail)).json() == first.json()


async def test_two_tokens_of_a_customer_at_once_spend_once(
    committing: Any, committed: Database, app: Any, spend_mine: Any
) -> None:
    phone, mail = uuid7(), uuid7()
    async with committing() as shop:
        await shop.assign(mail, phone, mail)
        await shop.order(mail, 100, customer=mail)
    app.state.runtime.database = committed
    answers = await asyncio.gather(*[spend_mine((phone, mail)[n % 2]) for n in range(8)])
    assert {answer.json().get("code") for answer in answers if answer.status_code != 201} <= {"in_flight"}
    async with committing() as shop:
        assert await shop.balance(mail) == 70


async def test_adjusting_is_remembered_by_the_ledger_too(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.assign(via, via)
    for status in (201, 409):
        answer = await client.post(
            f"/v1/loyalty/accounts/{via}/adjust", json={"points": 5, "reason": "x"}, headers={"Idempotency-Key": "a"}
        )
        assert answer.status_code == status
        await shop.session.execute(text("DELETE FROM idempotency"))
    assert await shop.balance(via) == 5


@pytest.mark.parametrize("points", [0, -1])
async def test_the_database_refuses_to_spend_nothing(session: Any, points: int) -> None:
    with pytest.raises(DBAPIError, match="points must be above 0"):
        async with session.begin_nested():
            await service.spend(session, Posting(uuid7(), "spend", uuid7(), utc_now(), "x", -points))
