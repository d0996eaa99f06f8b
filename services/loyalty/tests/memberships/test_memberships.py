"""Memberships by events of payments: derived, wound up by the clock, said to others, shown."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import (
    BenefitGranted,
    BenefitRevoked,
    BenefitsChanged,
    MembershipChanged,
    MembershipsChanged,
)
from perennial.common.derive import Stale
from perennial.common.ids import partition_of, uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.memberships import service


def ago(days: float) -> datetime:
    return utc_now() - timedelta(days=days)


def line(sku: str, price: Any = "30", **more: Any) -> dict[str, Any]:
    return {"sku": sku, "price": price, "quantity": 1, **more}


async def test_an_order_of_its_product_is_a_payment_and_its_refund_ends_it(shop: Any, club: Any) -> None:
    via = uuid7()
    basket = {"products": [line("MUG", 12), line("PLUS-M", "29.90")]}
    order = await shop.order(via, "41.90", at=ago(3), properties=basket)
    assert (await club.row(via)).state == "active"
    await shop.refund(order, via=via, at=ago(2), properties={"products": [line("MUG", 12)], "total": 12})
    assert (await club.row(via)).state == "active"
    await shop.refund(order, via=via, at=ago(1), properties={"products": [line("PLUS-M")], "total": "29.90"})
    assert (await club.row(via)).state == "refunded"
    other = uuid7()
    order = await shop.order(other, "41.90", at=ago(3), properties=basket)
    await shop.refund(order, "Order Cancelled", via=other)
    assert (await club.row(other)).state == "refunded"


async def test_a_payment_told_by_two_events_counts_once(shop: Any, club: Any) -> None:
    via = uuid7()
    order = await shop.order(via, 30, at=ago(3), properties={"products": [line("PLUS-M")]})
    await club.tell("Purchased", via, ago(2.9), order_id=order, amount=30)
    await club.tell("Purchased", via, ago(2.8), order_id=order, amount=30)
    until = (await club.row(via)).until
    assert until < utc_now() + timedelta(days=29)


@pytest.mark.parametrize("sequence", list(permutations(range(3))), ids=str)
async def test_whatever_the_sequence_the_end_is_the_same(shop: Any, club: Any, sequence: tuple[int, ...]) -> None:
    via, moments = uuid7(), [ago(40), ago(12), ago(5)]
    said = [("Purchased", {"payment_id": "1"}), ("Renewed", {"payment_id": "2"}), ("Cancelled", {})]
    for step in sequence:
        await club.tell(said[step][0], via, moments[step], **said[step][1])
        await shop.derive()
    row = await club.row(via)
    assert (row.state, row.since, row.renews) == ("active", moments[0], False)
    assert row.until > utc_now() + timedelta(days=18)


async def test_the_clock_moves_it_behind_the_pipeline(shop: Any, club: Any) -> None:
    via = uuid7()
    await club.pay(via, ago(20))
    row = await club.row(via)
    timer = (await shop.session.execute(text("SELECT * FROM timer WHERE kind = 'membership'"))).one()
    assert (timer.key, timer.due_at, timer.partition) == (str(via), row.until, partition_of(via))
    for days, state in ((1, "grace"), (4, "lapsed")):
        await service.refresh(shop.session, _stale(via), row.until + timedelta(days=days))
        found = await shop.session.execute(text("SELECT state, ends_at FROM membership"))
        assert found.one() == (state, row.until + timedelta(days=3))
    said = [(told["status"], told["previous"]) for told in await shop.said(MembershipChanged)]
    assert said == [("active", None), ("grace", "active"), ("lapsed", "grace")]
    assert (await shop.session.execute(text("SELECT count(*) FROM timer WHERE kind = 'membership'"))).scalar_one() == 0


def _stale(via: UUID) -> Stale:
    return Stale({via: True}, [])


async def test_others_hear_how_it_stands_and_what_it_gives(shop: Any, club: Any) -> None:
    via = uuid7()
    await club.pay(via, ago(2), "1")
    await shop.derive()
    (state,) = (await shop.said(MembershipsChanged))[0]["memberships"]
    assert (state["customer"], state["plan"], state["status"], state["member"]) == (str(via), "plus", "active", True)
    (held,) = (await shop.said(BenefitsChanged))[-1]["customers"]
    assert (held["origin"], [one["code"] for one in held["benefits"]]) == ("membership:plus", ["less", "post"])
    assert [told["benefit"]["code"] for told in await shop.said(BenefitGranted)] == ["less", "post"]
    await club.tell("Cancelled", via, ago(1), immediate=True)
    await shop.derive()
    assert [told["benefit"]["code"] for told in await shop.said(BenefitRevoked)] == ["less", "post"]
    last = (await shop.said(MembershipChanged))[-1]
    assert (last["status"], float(last["refund_due"]) > 20) == ("cancelled", True)


async def test_an_import_says_nothing_happened(shop: Any, club: Any) -> None:
    via = uuid7()
    await club.pay(via, ago(2), live=False)
    await shop.derive()
    assert await shop.said(MembershipChanged) == []
    assert (await shop.said(MembershipsChanged))[0]["memberships"][0]["status"] == "active"


async def test_a_merge_makes_one_course_and_its_undo_takes_it_apart(shop: Any, club: Any) -> None:
    anna, phone = uuid7(), uuid7()
    for via in (anna, phone):
        await shop.assign(via, via)
    await club.pay(anna, ago(10), "1")
    await club.pay(phone, ago(5), "2")
    apart = [(await club.row(via)).until for via in (anna, phone)]
    await shop.assign(anna, phone)
    assert (await club.row(anna)).until > max(apart) + timedelta(days=20)
    assert await club.row(phone) is None
    await shop.assign(phone, phone)
    assert [(await club.row(via)).until for via in (anna, phone)] == apart


async def test_who_loses_all_of_it_to_a_split_is_told(shop: Any, club: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.assign(anna, anna, phone)
    await club.pay(phone, ago(5))
    assert (await club.row(anna)).state == "active"
    await shop.assign(phone, phone)
    assert await club.row(anna) is None
    told = [item for fact in await shop.said(MembershipsChanged) for item in fact["memberships"]]
    mine = [item for item in told if item["customer"] == str(anna)]
    assert [(item["status"], item["member"]) for item in mine] == [("active", True), ("none", False)]
    assert mine[0]["version"] < mine[1]["version"]


async def test_a_new_version_of_the_plan_holds_for_payments_from_then_on(
    shop: Any, club: Any, plus: dict[str, Any]
) -> None:
    via = uuid7()
    await club.pay(via, ago(10), "1")
    before = (await club.row(via)).until
    await club.plans({**plus, "period": "P1Y", "grace_days": 0}, since=ago(5))
    await club.tell("Renewed", via, ago(1), payment_id="2")
    row = await club.row(via)
    assert (row.until.year, row.until.month, row.until.day) == (before.year + 1, before.month, before.day)
    assert row.ends_at == row.until


async def _mine(client: httpx.AsyncClient, token: Any, via: UUID) -> dict[str, Any]:
    answer = await client.get("/v1/me/membership", headers={"Authorization": f"Bearer {token(via=via)}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_what_members_see(shop: Any, club: Any, client: httpx.AsyncClient, token: Any) -> None:
    via = uuid7()
    await shop.assign(via, via)
    assert (await _mine(client, token, via))["memberships"] == []
    await club.pay(via, ago(5), "1")
    seen = await _mine(client, token, via)
    (one,) = seen["memberships"]
    assert (one["plan"], one["status"], one["member"], one["renews"]) == ("plus", "active", True, True)
    assert [benefit["code"] for benefit in one["benefits"]] == ["less", "post"]
    back = one["refund_now"]
    assert back["of_days"] - back["days"] in {6, 7}  # midnight may come meanwhile
    assert (back["currency"], float(back["amount"]) < 30) == ("USD", True)
    assert [plan["code"] for plan in seen["plans"]] == ["plus"]


async def test_savings_are_those_of_a_member_less_what_was_given_back(
    shop: Any, club: Any, client: httpx.AsyncClient, token: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(utc_now().year, 12, 15, tzinfo=UTC)
    monkeypatch.setattr("perennial.loyalty.memberships.shown.utc_now", lambda: now)
    via = uuid7()
    await shop.assign(via, via)
    await club.pay(via, now - timedelta(days=20), "1", amount="30")

    async def buy(days: float, **said: Any) -> str:
        return str(await shop.order(via, 100, at=now - timedelta(days=days), properties=said))

    await buy(30, discount=50)  # before
    await buy(10, discount=10, shipping=0)
    half = await buy(9, discount=8, shipping_discount="3.00")
    whole = await buy(8, discount=99)
    await buy(7, discount=5, currency="EUR")
    await shop.refund(half, via=via, at=now - timedelta(days=6), properties={"revenue": 50})
    await shop.refund(whole, via=via, at=now - timedelta(days=6))
    saved = (await _mine(client, token, via))["savings"]
    assert saved["year"] == now.year
    assert saved["items"] == [
        {"currency": "EUR", "discount": "5.00", "shipping": "0.00", "total": "5.00", "paid": "0"},
        {"currency": "USD", "discount": "14.00", "shipping": "6.00", "total": "20.00", "paid": "30"},
    ]


async def test_staff_see_all_that_was_heard(shop: Any, club: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.assign(via, via)
    await club.tell("Payment Failed", via, ago(50))
    await club.pay(via, ago(5), "1")
    await shop.derive()
    seen = (await client.get(f"/v1/loyalty/accounts/{via}/memberships")).json()
    assert [(item["kind"], item["ignored"]) for item in seen["heard"]] == [
        ("paid", None), ("failed", "there was no membership then"),
    ]  # fmt: skip
    listed = (await client.get("/v1/loyalty/memberships", params={"plan": "plus", "status": "active"})).json()
    assert [item["customer_id"] for item in listed["items"]] == [str(via)]
    assert (await client.get("/v1/loyalty/memberships", params={"status": "lapsed"})).json()["items"] == []
    assert (await client.get("/v1/loyalty/memberships", params={"cursor": "WyJhIiwgMV0"})).status_code == 400
    assert (await client.get(f"/v1/loyalty/accounts/{uuid7()}/memberships")).status_code == 404


async def test_lists_page(shop: Any, club: Any, client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await club.pay(uuid7(), ago(5))
    await shop.derive()
    first = (await client.get("/v1/loyalty/memberships", params={"limit": 2})).json()
    rest = (await client.get("/v1/loyalty/memberships", params={"cursor": first["next_cursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)


@pytest.mark.parametrize(
    "said",
    [
        {"plan": "nothing"}, {"plan": 7}, {"plan": None}, {"plan": "plus", "amount": "many", "quantity": -3},
        {"plan": "plus", "amount": 1e300, "quantity": 1e300, "currency": 5}, {"plan": "会员/%"},
        {"plan": "plus", "payment_id": "a\0b", "refund_id": "\0"},
        {"sku": ["PLUS-M"]}, {"plan": "plus", "payment_id": "支付/1 %" * 100, "trial": "yes"},
    ],
    ids=range(9),
)  # fmt: skip
async def test_whatever_is_said_is_taken_or_left(shop: Any, club: Any, said: dict[str, Any]) -> None:
    via = uuid7()
    for verb in ("Purchased", "Refunded", "Cancelled", "Payment Failed"):
        await shop.say(tracked(f"Membership {verb}", said, via=via, message_id=uuid4().hex))
    await shop.say(tracked("Order Refunded", {"products": "none", **said, "order_id": "x", "refund_id": "1"}, via=via))
    await shop.derive()


async def test_the_end_of_all_calendars_stops_nobody(shop: Any, club: Any) -> None:
    via = uuid7()
    await club.pay(via, datetime(9999, 12, 31, 23, 59, tzinfo=UTC))
    assert await club.row(via) is None
    at = datetime(9800, 12, 31, tzinfo=UTC)
    await club.pay(via, at, quantity=12)
    assert await club.row(via) is None
    await service.refresh(shop.session, Stale({via: True}, []), at)
    assert (await club.row(via)).state == "active"


async def test_without_plans_nothing_is_kept(shop: Any) -> None:
    via = uuid7()
    await shop.say(tracked("Membership Purchased", {"plan": "plus", "payment_id": "1"}, via=via))
    await shop.order(via, 100, properties={"discount": 5})
    for table in ("membership_event", "member_saving"):
        assert (await shop.session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"period": "P1D2"}, "period"),
        ({"trial": "1 week"}, "trial"),
        ({"price": -1}, "price"),
        ({"currency": "usd"}, "currency"),
        ({"benefits": [{"code": "a", "kind": "advisor"}, {"code": "a", "kind": "advisor"}]}, "benefits"),
    ],
    ids=["period", "trial", "price", "currency", "benefits"],
)
async def test_a_plan_that_cannot_be(
    client: httpx.AsyncClient, plus: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    current = await client.get("/v1/loyalty/programme")
    body = {**current.json(), "plans": [{**plus, **changes}]}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": current.headers["ETag"]})
    assert answer.status_code == 422
    assert says in answer.text
