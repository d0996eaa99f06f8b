"""Why this tier, what would change it, and when: for staff and for the customer in person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TIERS: list[dict[str, Any]] = [
    {"name": "member", "threshold": 0},
    {"name": "silver", "threshold": 500},
    {"name": "gold", "threshold": 1500, "spend": "2000", "orders": 5},
]


async def test_who_has_nothing_is_told_the_ways_up(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.programme(LONG_AGO, tiers=TIERS)
    await shop.assign(via, via)
    told = (await client.get(f"/v1/loyalty/accounts/{via}/tier")).json()
    assert (told["tier"], told["why"], told["keep"], told["projected_at"]) == ("member", "beginning", None, None)
    assert told["next"] == {"name": "silver", "missing": {"points": 500, "spend": None, "orders": None}}
    assert [(rung["name"], rung["takes"], rung["reached"]) for rung in told["ladder"]] == [
        ("member", {"points": 0, "spend": None, "orders": None}, True),
        ("silver", {"points": 500, "spend": None, "orders": None}, False),
        ("gold", {"points": 1500, "spend": "2000.00", "orders": 5}, False),
    ]


async def test_what_it_rests_on_and_when_it_is_lost(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    via, now = uuid7(), utc_now()
    await shop.programme(LONG_AGO, tiers=TIERS)
    for days in (400, 360, 300, 200, 100, 1):
        await shop.order(via, "150.5", at=now - timedelta(days=days))
    await shop.derive()
    told = (await client.get(f"/v1/loyalty/accounts/{via}/tier")).json()
    assert (told["tier"], told["why"], told["earned"], told["projected"]) == ("gold", "reached", "gold", "silver")
    assert datetime.fromisoformat(told["projected_at"]) == now + timedelta(days=5)
    assert told["keep"] == {
        "tier": "gold", "by": told["projected_at"], "missing": {"points": 900, "spend": "1398.00", "orders": 1},
    }  # fmt: skip
    assert told["period"]["reached"] == {"points": 750, "spend": "752.50", "orders": 5}
    assert [item["what"]["orders"] for item in told["counted"]] == [1] * 5
    assert [(step["tier"], step["why"]) for step in told["steps"]][-1] == ("gold", "reached")
    assert [(step["tier"], step["why"]) for step in told["ahead"]] == [
        ("silver", "period_ended"),
        ("member", "period_ended"),
    ]
    assert (told["waits_for_events"], told["override"]) == (False, None)
    mine = await client.get("/v1/me/loyalty/tier", headers={"Authorization": f"Bearer {token(via=via)}"})
    assert mine.json() | {"as_of": None} == told | {"as_of": None}


async def test_calendar_years_and_the_word_of_staff(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    via, now = uuid7(), utc_now()
    await shop.programme(LONG_AGO, tiers=TIERS, tiering={"period": "calendar", "calendar": "year"})
    await shop.order(via, 600, at=now)
    until = (now + timedelta(days=9)).isoformat()
    said = {"tier": "gold", "until": until, "reason": "for zoe@secret.example"}
    path = f"/v1/loyalty/accounts/{via}"
    await client.post(f"{path}/tier-overrides", json=said, headers={"Idempotency-Key": "1"})
    await shop.derive()
    told = (await client.get(f"{path}/tier")).json()
    assert (told["tier"], told["why"], told["earned"], told["projected"]) == ("gold", "override", "silver", "silver")
    assert told["override"]["exact"] is False
    ended = datetime(now.year + 2, 1, 1, tzinfo=UTC)  # kept through the next year, by this one's
    assert told["keep"]["by"] == ended.isoformat().replace("+00:00", "Z")
    assert told["keep"]["missing"]["points"] == 500
    mine = await client.get("/v1/me/loyalty/tier", headers={"Authorization": f"Bearer {token(via=via)}"})
    assert "secret.example" not in mine.text
    account = (await client.get("/v1/me/loyalty", headers={"Authorization": f"Bearer {token(via=via)}"})).json()
    assert (account["tier"]["by_staff"], account["tier"]["period"]["until"]) == (
        True,
        datetime(now.year + 1, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
    )


async def test_what_is_about_to_expire_is_in_the_account(shop: Any, client: httpx.AsyncClient) -> None:
    via, now = uuid7(), utc_now()
    await shop.programme(LONG_AGO, expiry_months=1)
    for points, days in ((100, 25), (50, 25), (70, 3), (900, 40)):
        await shop.order(via, points, at=now - timedelta(days=days))
    spent = {"points": 30, "reason": "coat"}
    await client.post(f"/v1/loyalty/accounts/{via}/spend", json=spent, headers={"Idempotency-Key": "1"})
    await shop.derive()
    account = (await client.get(f"/v1/loyalty/accounts/{via}")).json()
    assert [(item["currency"], item["points"]) for item in account["expiring"]] == [("points", 120), ("points", 70)]
    assert account["balance"] == 190
