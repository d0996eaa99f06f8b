"""Redemptions: points and stock are held, sold, or given back; whatever happens the books balance."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import (
    PointsReturned,
    PointsSpent,
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
)
from perennial.common.ids import uuid7
from perennial.loyalty.points import service as points
from perennial.loyalty.rewards.redemptions import service

MUG = {"kind": "goods", "name": {"en": "Mug", "zh": "杯子"}, "points": 60, "stock": 1}
SHOES = {**MUG, "money": {"amount": "19.90", "currency": "EUR"}}
CARD = {"kind": "voucher", "name": {"en": "Book voucher"}, "points": 10, "codes": True, "instant": True}


async def offer(client: httpx.AsyncClient, body: dict[str, Any], *codes: str) -> str:
    """A reward's id."""
    answer = await client.post("/v1/rewards", json=body, headers={"Idempotency-Key": str(uuid7())})
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    if codes:
        path = f"/v1/rewards/{made}/codes"
        answer = await client.post(path, json={"codes": codes}, headers={"Idempotency-Key": str(uuid7())})
        assert answer.status_code == 201, answer.text
    return made


async def redeem(
    client: httpx.AsyncClient, via: UUID, reward: str, key: str | None = None, **more: Any
) -> httpx.Response:
    return await client.post(
        f"/v1/loyalty/accounts/{via}/redemptions", json={"reward_id": reward, **more},
        headers={"Idempotency-Key": key or str(uuid7())},
    )  # fmt: skip


async def step(client: httpx.AsyncClient, redemption: str, verb: str, **body: Any) -> httpx.Response:
    path = f"/v1/redemptions/{redemption}/{verb}"
    return await client.post(path, json=body, headers={"Idempotency-Key": str(uuid7())})


async def taken(client: httpx.AsyncClient, reward: str) -> int:
    found: int = (await client.get(f"/v1/rewards/{reward}")).json()["taken"]
    return found


async def test_from_the_reservation_to_the_parcel(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    reward = await offer(client, SHOES)
    answer = await redeem(client, via, reward)
    assert answer.status_code == 201, answer.text
    held = answer.json()
    assert (held["state"], held["points"], held["money"]) == ("reserved", 60, {"amount": "19.90", "currency": "EUR"})
    assert answer.headers["Location"] == f"/v1/redemptions/{held['id']}"
    assert (await shop.balance(via), await taken(client, reward)) == (40, 1)

    unpaid = await step(client, held["id"], "confirm")
    assert (unpaid.status_code, unpaid.json()["errors"][0]["pointer"]) == (422, "/payment_reference")
    paid = await step(client, held["id"], "confirm", payment_reference="pay 7")
    assert (paid.json()["state"], paid.json()["payment_reference"]) == ("confirmed", "pay 7")
    sent = await step(client, held["id"], "fulfil")
    assert (sent.json()["state"], sent.json()["version"]) == ("fulfilled", 3)
    assert (await step(client, held["id"], "cancel")).json()["code"] == "wrong_state"
    account = await shop.account(via)
    assert (account.balance, account.spent) == (40, 60)
    for contract, version in ((RedemptionReserved, 1), (RedemptionConfirmed, 2), (RedemptionFulfilled, 3)):
        (told,) = await shop.said(contract)
        assert (told["redemption_id"], told["version"], told["amount"]) == (held["id"], version, "19.90")
        assert (told["reward_name"], told["reserved_at"]) == (MUG["name"], held["reserved_at"])
    (spent,) = await shop.said(PointsSpent)
    assert (spent["posting_id"], spent["points"]) == (held["id"], 60)
    listed = (await client.get(f"/v1/redemptions?reward_id={reward}&state=fulfilled")).json()["items"]
    assert listed == [sent.json()] == (await client.get(f"/v1/loyalty/accounts/{via}/redemptions")).json()["items"]


@pytest.mark.parametrize("paid", [False, True])
async def test_what_is_called_off_comes_back(shop: Any, client: httpx.AsyncClient, *, paid: bool) -> None:
    via = uuid7()
    await shop.order(via, 100)
    reward = await offer(client, SHOES)
    held = (await redeem(client, via, reward)).json()["id"]
    if paid:
        await step(client, held, "confirm", payment_reference="pay 7")
    answer = await step(client, held, "cancel", reason="changed their mind")
    assert (answer.json()["state"], answer.json()["note"]) == ("cancelled", "changed their mind")
    again = await step(client, held, "cancel")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    for verb in ("confirm", "fulfil"):
        assert (await step(client, held, verb, **{"payment_reference": "x"} if verb == "confirm" else {})).json()[
            "code"
        ] == "wrong_state"
    account = await shop.account(via)
    assert (account.balance, account.spent, await taken(client, reward)) == (100, 0, 0)
    (told,) = await shop.said(RedemptionCancelled)
    assert told["payment_reference"] == ("pay 7" if paid else None)
    (back,) = await shop.said(PointsReturned)
    assert (back["points"], back["reference"]) == (60, held)
    lines = (await client.get(f"/v1/loyalty/accounts/{via}/ledger")).json()["items"]
    assert [(line["kind"], line["points"], line["balance"]) for line in lines] == [
        ("return", 60, 100),
        ("spend", -60, 40),
        ("earn", 100, 100),
    ]
    assert (await redeem(client, via, reward)).status_code == 201  # the stock is there again


async def test_a_reservation_lapses_once_however_late(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    reward = await offer(client, {**MUG, "hold_minutes": 5, "stock": 2})
    kept, lost = [(await redeem(client, via, reward, points=60)).json() for _ in range(2)]
    assert lost["code"] == "insufficient_points"
    assert await service.expire_due(shop.session, utc_now() + timedelta(minutes=4)) == 0
    late = utc_now() + timedelta(days=30)
    assert [await service.expire_due(shop.session, late) for _ in range(2)] == [1, 0]
    assert (await shop.balance(via), await taken(client, reward)) == (100, 0)
    assert [told["redemption_id"] for told in await shop.said(RedemptionExpired)] == [kept["id"]]
    assert (await step(client, kept["id"], "confirm")).json()["code"] == "wrong_state"
    paid = (await redeem(client, via, reward, confirm=True)).json()
    assert paid["state"] == "confirmed"
    assert await service.expire_due(shop.session, late) == 0  # what is sold does not lapse


async def test_lots_come_back_with_the_expiry_that_they_have(shop: Any, client: httpx.AsyncClient) -> None:
    via, now = uuid7(), utc_now()
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), expiry_months=1)
    await shop.order(via, 50, at=now - timedelta(days=20))
    await shop.order(via, 50, at=now - timedelta(days=1))
    reward = await offer(client, MUG)
    held = (await redeem(client, via, reward)).json()["id"]
    await shop.derive()
    later = now + timedelta(days=15)  # the older order's points have expired meanwhile
    assert await points.expire_due(shop.session, later) == 1
    assert await service.expire_due(shop.session, later) == 1
    account = await shop.account(via)
    assert (account.balance, account.expired, account.spent) == (50, 50, 0), "nobody spends what has expired"
    assert (await shop.said(RedemptionExpired))[0]["redemption_id"] == held


async def test_a_return_frees_later_lots_for_what_was_spent_after_it(shop: Any, client: httpx.AsyncClient) -> None:
    via, now = uuid7(), utc_now()
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), expiry_months=1)
    await shop.order(via, 60, at=now - timedelta(days=20))
    await shop.order(via, 60, at=now - timedelta(days=1))
    reward = await offer(client, {**MUG, "stock": None})
    first, second = [(await redeem(client, via, reward)).json()["id"] for _ in range(2)]
    assert (await redeem(client, via, reward)).json()["code"] == "insufficient_points"
    await step(client, first, "cancel")
    await shop.prove()
    uses = await shop.session.execute(
        text("""SELECT u.posting_id, l.earned_at < :then AS older FROM lot_use u JOIN lot l ON l.id = u.lot_id"""),
        {"then": now - timedelta(days=10)},
    )
    assert [(str(row.posting_id), row.older) for row in uses] == [(second, True)]


async def test_the_same_key_reserves_once(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 200)
    reward = await offer(client, {**MUG, "stock": None})
    first, again = [await redeem(client, via, reward, "k") for _ in range(2)]
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
    assert again.headers["Location"] == first.headers["Location"]
    assert (await redeem(client, via, reward, "k", confirm=True)).status_code == 422
    await shop.session.execute(text("DELETE FROM idempotency"))
    assert (await redeem(client, via, reward, "k")).json()["code"] == "idempotency_key_reused"
    for path in (f"loyalty/accounts/{via}/redemptions", *(f"redemptions/{via}/{v}" for v in ("confirm", "fulfil"))):
        assert (await client.post(f"/v1/{path}", json={})).status_code == 400
    assert await shop.balance(via) == 140


async def test_codes_are_given_in_turn_and_shown_to_their_customer(
    shop: Any, client: httpx.AsyncClient, token: Any
) -> None:
    via, other = uuid7(), uuid7()
    await shop.order(via, 100)
    await shop.order(other, 100)
    reward = await offer(client, CARD, "one", "two", "one")
    held = (await redeem(client, other, reward)).json()
    assert (held["state"], held["code"]) == ("reserved", None)
    mine = {"Authorization": f"Bearer {token(via=via)}", "Idempotency-Key": "me"}
    answer = await client.post("/v1/me/redemptions", json={"reward_id": reward, "confirm": True}, headers=mine)
    assert (answer.json()["state"], answer.json()["code"]) == ("fulfilled", "two")
    assert (await redeem(client, via, reward)).json()["code"] == "sold_out"
    await step(client, held["id"], "cancel")
    again = (await redeem(client, via, reward, confirm=True)).json()
    assert again["code"] == "one", "nobody has seen it"
    agent = {"Authorization": f"Bearer {token('loyalty:read', 'loyalty:write')}"}
    assert (await client.get(f"/v1/redemptions/{again['id']}", headers=agent)).json()["code"] is None
    assert (await client.get(f"/v1/rewards/{reward}/codes", headers=agent)).status_code == 403
    pool = (await client.get(f"/v1/rewards/{reward}/codes?limit=1")).json()
    assert [item["code"] for item in pool["items"]] == ["one"]
    rest = (await client.get(f"/v1/rewards/{reward}/codes?cursor={pool['next_cursor']}")).json()
    assert [(item["code"], item["redemption_id"]) for item in rest["items"]] == [("two", answer.json()["id"])]
    listed = (await client.get("/v1/me/redemptions", headers=mine)).json()["items"]
    assert [item["code"] for item in listed] == ["one", "two"]
    assert "note" not in listed[0]
    foreign = {**mine, "Authorization": f"Bearer {token(via=other)}"}
    assert (await client.post(f"/v1/me/redemptions/{again['id']}/cancel", headers=foreign)).status_code == 404


async def test_stored_credit_is_booked_when_it_is_fulfilled(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    cash = {"code": "cash", "kind": "credit", "expiry": {"kind": "months", "months": 12}}
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), currencies=[{"code": "points"}, cash])
    await shop.order(via, 100)
    credit = {"currency": "cash", "points": 500}
    reward = await offer(
        client, {"kind": "credit", "name": {"en": "5 €"}, "points": 100, "credit": credit, "instant": True}
    )
    held = (await redeem(client, via, reward)).json()
    wallets = {item.currency: item.balance for item in (await shop.account(via)).wallets}
    assert wallets == {"points": 0, "cash": 0}
    assert (await step(client, held["id"], "confirm")).json()["state"] == "fulfilled"
    wallets = {item.currency: item.balance for item in (await shop.account(via)).wallets}
    assert wallets == {"points": 0, "cash": 500}
    dear = await offer(client, {**MUG, "currency": "cash", "points": 500})
    assert (await redeem(client, via, dear, confirm=True)).status_code == 201


async def test_what_was_reserved_without_a_code_is_not_handed_over_by_itself(
    shop: Any, client: httpx.AsyncClient
) -> None:
    via = uuid7()
    await shop.order(via, 100)
    reward = await offer(client, {**CARD, "codes": False, "instant": False})
    held = (await redeem(client, via, reward)).json()
    changed = await client.put(f"/v1/rewards/{reward}", json=CARD, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert (await step(client, held["id"], "confirm")).json()["state"] == "confirmed"
    assert (await step(client, held["id"], "fulfil")).json()["state"] == "fulfilled"


async def test_in_person_one_sees_what_one_can_have_and_why_not(
    shop: Any, client: httpx.AsyncClient, token: Any
) -> None:
    via, now = uuid7(), utc_now()
    await shop.order(via, 100)
    wanted: dict[str, dict[str, Any]] = {
        "mine": {},
        "dear": {"points": 130},
        "few": {"stock": 0},
        "gold": {"tiers": ["gold"]},
        "had": {"limits": [{"count": 1, "per": "month"}], "points": 0},
        "later": {"starts_at": (now + timedelta(days=1)).isoformat()},
        "gone": {"ends_at": (now - timedelta(days=1)).isoformat()},
        "secret": {"state": "hidden"},
        "old": {"state": "archived"},
    }
    ids = {name: await offer(client, {**MUG, "name": {"en": name}, **more}) for name, more in wanted.items()}
    mine = {"Authorization": f"Bearer {token(via=via)}", "Idempotency-Key": "had"}
    assert (await client.post("/v1/me/redemptions", json={"reward_id": ids["had"]}, headers=mine)).status_code == 201
    shown: dict[str, Any] = {}
    path: str | None = "/v1/me/rewards?limit=2"
    while path:
        body = (await client.get(path, headers=mine)).json()
        shown |= {item["name"]["en"]: (item["why_not"], item["missing_points"]) for item in body["items"]}
        path = body["next_cursor"] and f"/v1/me/rewards?limit=2&cursor={body['next_cursor']}"
    assert shown == {
        "mine": ([], 0),
        "dear": (["points"], 30),
        "few": (["sold_out"], 0),
        "gold": (["tier"], 0),
        "had": (["limit", "sold_out"], 0),
        "later": (["not_yet"], 0),
    }
    codes = {}
    for name in wanted:
        headers = {**mine, "Idempotency-Key": name + " again"}
        answer = await client.post("/v1/me/redemptions", json={"reward_id": ids[name]}, headers=headers)
        codes[name] = answer.json().get("code")
    assert codes == {
        "mine": None, "dear": "insufficient_points", "few": "sold_out", "gold": "tier_required",
        "had": "limit_reached", "later": "reward_not_yet", "gone": "reward_over", "secret": "unknown_reward",
        "old": "reward_archived",
    }  # fmt: skip
    assert await shop.balance(via) == 40
    headers = {**mine, "Idempotency-Key": "back"}
    (last, *_) = (await client.get("/v1/me/redemptions?state=reserved", headers=mine)).json()["items"]
    answer = await client.post(f"/v1/me/redemptions/{last['id']}/cancel", headers=headers)
    assert answer.json()["state"] == "cancelled"
    await shop.session.execute(text("UPDATE redemption SET reserved_at = reserved_at - interval '40 days'"))
    assert await shop.balance(via) == 100


async def test_limits_are_of_the_calendar_and_of_the_tier(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 600)
    await shop.derive()
    limits = [{"count": 1, "per": "day", "tier": "member"}, {"count": 2, "per": "day"}, {"count": 3, "per": "ever"}]
    reward = await offer(client, {**MUG, "points": 1, "stock": None, "limits": limits})
    assert [(await redeem(client, via, reward)).status_code for _ in range(3)] == [201, 201, 409], "silver"
    await shop.session.execute(text("UPDATE redemption SET reserved_at = reserved_at - interval '1 day'"))
    assert [(await redeem(client, via, reward)).status_code for _ in range(2)] == [201, 409]
    member = uuid7()
    await shop.order(member, 10)
    assert [(await redeem(client, member, reward)).status_code for _ in range(2)] == [201, 409]


async def test_a_limit_is_the_persons_through_merges_and_their_undoing(shop: Any, client: httpx.AsyncClient) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 100)
    await shop.order(phone, 100)
    reward = await offer(client, {**MUG, "stock": None, "limits": [{"count": 1, "per": "ever"}]})
    first = (await redeem(client, phone, reward)).json()
    await shop.assign(anna, phone)
    assert (await redeem(client, anna, reward)).json()["code"] == "limit_reached"
    assert (await client.get(f"/v1/redemptions/{first['id']}")).json()["customer_id"] == str(anna)
    assert (await shop.balance(anna), await redeem(client, phone, reward))[0] == 140
    await step(client, first["id"], "cancel")
    assert await shop.balance(anna) == 200
    second = (await redeem(client, anna, reward)).json()
    await shop.prove()
    await shop.assign(phone, phone)
    assert (await redeem(client, phone, reward)).status_code == 201
    await shop.prove()
    await step(client, second["id"], "cancel")
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, 40)


async def test_points_of_the_other_come_back_to_who_spent_them(shop: Any, client: httpx.AsyncClient) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 60)
    await shop.assign(anna, phone)
    await shop.order(phone, 10)
    reward = await offer(client, {**MUG, "points": 70})
    held = (await redeem(client, phone, reward)).json()
    await shop.prove()
    await shop.assign(phone, phone)
    await shop.prove()
    before = [await shop.balance(via) for via in (anna, phone)]
    await step(client, held["id"], "cancel")
    after = [await shop.balance(via) for via in (anna, phone)]
    assert sum(after) == sum(before) + 70 == 70
    assert after == [60, 10]
