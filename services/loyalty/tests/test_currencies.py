"""Several currencies in one programme: each has its own books."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import AccountsChanged, PointsEarned
from perennial.common.ids import uuid7
from perennial.loyalty.points import service as points

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CURRENCIES = [
    {"code": "points", "expiry": {"kind": "months", "months": 1}},
    {"code": "growth", "kind": "growth", "label": {"en": "Growth", "zh": "成长值"}},
    {"code": "credit", "kind": "credit", "pending_days": 14},
]
RULES = [
    {"name": "orders"},
    {"name": "growing", "currency": "growth", "points_per_unit": "10"},
    {"name": "back", "currency": "credit", "points_per_unit": "1.5"},
]


async def wallets(client: httpx.AsyncClient, via: Any) -> dict[str, tuple[int, int]]:
    body = (await client.get(f"/v1/loyalty/accounts/{via}")).json()
    return {item["currency"]: (item["balance"], item["pending"]) for item in body["wallets"]}


async def spend(client: httpx.AsyncClient, via: Any, points: int, currency: str, key: str) -> httpx.Response:
    return await client.post(
        f"/v1/loyalty/accounts/{via}/spend",
        json={"points": points, "reason": "coat", "currency": currency},
        headers={"Idempotency-Key": key},
    )


@pytest.fixture
async def programme(shop: Any) -> None:
    await shop.programme(LONG_AGO, currencies=CURRENCIES, earn_rules=RULES, tier_currency="growth")


@pytest.mark.usefixtures("programme")
async def test_an_order_earns_in_each_and_its_refund_takes_from_each(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    order = await shop.order(via, 101)
    assert await wallets(client, via) == {"points": (101, 0), "growth": (1010, 0), "credit": (0, 151)}
    told = (await shop.said(AccountsChanged))[-1]["accounts"]
    assert {item["currency"]: item["balance"] for item in told} == {"points": 101, "growth": 1010, "credit": 0}
    assert {item["currency"]: item["points"] for item in await shop.said(PointsEarned)} == {
        "points": 101, "growth": 1010, "credit": 151,
    }  # fmt: skip
    await shop.derive()
    assert (await shop.account(via)).tier.name == "silver", "growth counts, points do not"
    await shop.refund(order, via=via, properties={"revenue": "50.5"})
    assert await wallets(client, via) == {"points": (51, 0), "growth": (505, 0), "credit": (0, 76)}
    await shop.refund(order, via=via)
    assert await wallets(client, via) == {"points": (0, 0), "growth": (0, 0), "credit": (0, 0)}


@pytest.mark.usefixtures("programme")
async def test_each_is_spent_by_itself(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100, at=utc_now() - timedelta(days=20))
    assert await wallets(client, via) == {"points": (100, 0), "growth": (1000, 0), "credit": (150, 0)}
    short = await spend(client, via, 120, "points", "1")
    assert (short.status_code, short.json()["code"]) == (409, "insufficient_points")
    assert "points asked, the balance is 100" in short.json()["detail"]
    paid = await spend(client, via, 120, "credit", "2")
    assert (paid.json()["balance"], paid.json()["currency"]) == (30, "credit")
    never = await spend(client, via, 1, "growth", "3")
    assert (never.status_code, never.json()["code"]) == (422, "not_spendable")
    lines = (await client.get(f"/v1/loyalty/accounts/{via}/ledger?currency=credit")).json()["items"]
    assert [(line["kind"], line["balance"]) for line in lines] == [("spend", 30), ("earn", 150)]
    assert (await client.get("/v1/loyalty/summary?currency=credit")).json()["liability"] == 30


@pytest.mark.usefixtures("programme")
async def test_only_what_expires_expires(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100, at=utc_now() - timedelta(days=80))
    assert await points.expire_due(shop.session, utc_now()) == 1
    assert await wallets(client, via) == {"points": (0, 0), "growth": (1000, 0), "credit": (150, 0)}


async def test_a_currency_that_customers_have_stays(client: httpx.AsyncClient) -> None:
    body = {"earn_rules": [], "tiers": [{"name": "member", "threshold": 0}], "currencies": [{"code": "gold"}]}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (422, "currency_in_use")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"currencies": [{"code": "points"}, {"code": "points"}]}, "currencies: names must be unique"),
        ({"tier_currency": "gold"}, "tier_currency: there is no currency gold"),
        ({"earn_rules": [{"name": "x", "currency": "gold"}]}, "earn_rules: x earns an unknown currency: gold"),
    ],
)
async def test_what_a_programme_may_not_say(client: httpx.AsyncClient, changes: dict[str, Any], words: str) -> None:
    body = {"earn_rules": [], "tiers": [{"name": "member", "threshold": 0}], **changes}
    answer = await client.put("/v1/loyalty/programme", json=body, headers={"If-Match": '"1"'})
    assert answer.status_code == 422
    assert words in answer.text
