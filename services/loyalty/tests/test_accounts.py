"""Accounts as staff and customers see them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from perennial.common.ids import uuid7
from perennial.common.web.cursors import encode_cursor

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
NO_TIER: dict[str, Any] = {
    "name": "member", "since": None, "to_next": 500,
    "next": {"name": "silver", "missing": {"points": 500, "spend": None, "orders": None}},
    "period": {"days": 365, "since": None, "until": None, "reached": {"points": 0, "spend": None, "orders": None}},
    "projected": {"name": "member", "at": None}, "held_until": None, "by_staff": False, "benefits": [],
}  # fmt: skip
EMPTY = {"balance": 0, "pending": 0, "earned": 0, "spent": 0, "reversed": 0, "expired": 0, "adjusted": 0}


async def _spend(client: httpx.AsyncClient, customer: UUID, points: int) -> None:
    body = {"points": points, "reason": "coat", "reference": "till"}
    answer = await client.post(
        f"/v1/loyalty/accounts/{customer}/spend", json=body, headers={"Idempotency-Key": str(uuid7())}
    )
    assert answer.status_code == 201, answer.text


async def test_one_account(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    order = await shop.order(via, 700)
    await shop.refund(order, via=via, properties={"revenue": 100})
    await _spend(client, via, 50)
    await shop.derive()
    body = (await client.get(f"/v1/loyalty/accounts/{via}")).json()
    tier = body.pop("tier")
    assert tier | {"since": None, "projected": None} == {
        **NO_TIER, "name": "silver", "to_next": 900, "projected": None,
        "next": {"name": "gold", "missing": {"points": 900, "spend": None, "orders": None}},
        "period": {**NO_TIER["period"], "reached": {"points": 600, "spend": None, "orders": None}},
    }  # fmt: skip
    assert tier["projected"]["name"] == "member"
    assert body.pop("expiring") == []
    counts = {**EMPTY, "balance": 550, "earned": 700, "spent": 50, "reversed": 100}
    assert body.pop("wallets") == [{"currency": "points", "kind": "points", "balance": 550, "pending": 0}]
    assert body == {"customer_id": str(via), "currency": "points", **counts}


async def test_a_known_customer_without_points_has_an_empty_account(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.assign(via, via)
    body = (await client.get(f"/v1/loyalty/accounts/{via}")).json()
    assert body["tier"] == NO_TIER
    assert {name: body[name] for name in EMPTY} == EMPTY


async def test_the_list_pages_through_every_customer_once(shop: Any, client: httpx.AsyncClient) -> None:
    vias = sorted(uuid7() for _ in range(5))
    for number, via in enumerate(vias):
        await shop.order(via, 10 * number)
    await shop.assign(vias[0], vias[4])  # merged: one account less
    await shop.assign(uuid7(), uuid7())  # without points: no account
    seen: list[tuple[str, int]] = []
    path: str | None = "/v1/loyalty/accounts?limit=2"
    while path:
        answer = await client.get(path)
        seen += [(item["customer_id"], item["balance"]) for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        assert ("Link" in answer.headers) == (cursor is not None)
        path = cursor and f"/v1/loyalty/accounts?limit=2&cursor={cursor}"
    assert seen == [(str(via), balance) for via, balance in zip(vias[:4], (40, 10, 20, 30), strict=True) if balance]


async def test_the_ledger_runs_newest_first(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    via = uuid7()
    for day in range(5):
        await shop.order(via, 10 + day, f"order {day}", at=NOW + timedelta(days=day))
    await shop.refund("order 1", via=via, at=NOW + timedelta(days=9))
    path = f"/v1/loyalty/accounts/{via}/ledger"
    first = (await client.get(f"{path}?limit=4")).json()
    rest = (await client.get(f"{path}?limit=4&cursor={first['next_cursor']}")).json()
    lines = [*first["items"], *rest["items"]]
    assert rest["next_cursor"] is None
    assert [(line["kind"], line["reference"], line["points"], line["balance"]) for line in lines] == [
        ("reverse", "order 1", -11, 49),
        ("earn", "order 4", 14, 60),
        ("earn", "order 3", 13, 46),
        ("earn", "order 2", 12, 33),
        ("earn", "order 1", 11, 21),
        ("earn", "order 0", 10, 10),
    ]
    mine = await client.get("/v1/me/loyalty/ledger?limit=4", headers={"Authorization": f"Bearer {token(via=via)}"})
    assert mine.json()["items"] == first["items"]


async def test_the_customer_in_person(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.assign(mail, phone, mail)
    await shop.order(mail, 30, customer=mail)
    mine = {"Authorization": f"Bearer {token(via=phone)}"}
    body = (await client.get("/v1/me/loyalty", headers=mine)).json()
    assert (body["customer_id"], body["balance"]) == (str(mail), 30)
    stranger = {"Authorization": f"Bearer {token(via=uuid7())}"}
    assert (await client.get("/v1/me/loyalty", headers=stranger)).json()["balance"] == 0
    assert (await client.get("/v1/me/loyalty")).status_code == 403  # an API key is nobody's customer
    assert (await client.get("/v1/loyalty/summary", headers=mine)).status_code == 403


async def test_the_summary_adds_up(shop: Any, client: httpx.AsyncClient) -> None:
    rich, poor = uuid7(), uuid7()
    await shop.order(rich, 600)
    order = await shop.order(poor, 40)
    await _spend(client, rich, 100)
    await _spend(client, poor, 40)
    await shop.refund(order, via=poor)
    await shop.derive()
    body = (await client.get("/v1/loyalty/summary")).json()
    assert body == {
        "currency": "points",
        "accounts": 2,
        "earned": 640,
        "spent": 140,
        "reversed": 40,
        "expired": 0,
        "adjusted": 0,
        "pending": 0,
        "liability": 500,
        "tiers": {"member": 1, "silver": 1, "gold": 0, "platinum": 0},
    }


SPEND = "/v1/loyalty/accounts/{via}/spend"
GOOD = {"points": 1, "reason": "x"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", SPEND, {**GOOD, "points": 0}, 422, "/points"),
        ("POST", SPEND, {**GOOD, "points": "5"}, 422, "/points"),
        ("POST", SPEND, {**GOOD, "points": 1.5}, 422, "/points"),
        ("POST", SPEND, {**GOOD, "points": True}, 422, "/points"),
        ("POST", SPEND, {**GOOD, "points": 10**13}, 422, "/points"),
        ("POST", SPEND, {"points": 1}, 422, "/reason"),
        ("POST", SPEND, {**GOOD, "reason": "  "}, 422, "/reason"),
        ("POST", SPEND, {**GOOD, "reference": "r" * 256}, 422, "/reference"),
        ("POST", SPEND, {**GOOD, "colour": "red"}, 422, "/colour"),
        ("POST", "/v1/loyalty/accounts/nobody/spend", GOOD, 422, "path/customer_id"),
        ("POST", "/v1/loyalty/accounts/{stranger}/spend", GOOD, 404, "path/customer_id"),
        ("POST", "/v1/loyalty/accounts/{via}/adjust", {**GOOD, "points": 0}, 422, "/points"),
        ("POST", "/v1/loyalty/accounts/{via}/adjust", {"points": 5}, 422, "/reason"),
        ("GET", "/v1/loyalty/accounts/{stranger}", None, 404, "path/customer_id"),
        ("GET", "/v1/loyalty/accounts?limit=0", None, 422, "query/limit"),
        ("GET", "/v1/loyalty/accounts?cursor=WzFd", None, 400, "query/cursor"),
        ("GET", "/v1/loyalty/accounts/{via}/ledger?cursor=%21", None, 400, "query/cursor"),
        ("GET", "/v1/loyalty/accounts/{via}/ledger?cursor=WyIyMDI2LTAxLTAxIiwgIngiXQ", None, 400, "query/cursor"),
        ("POST", SPEND, {**GOOD, "currency": "gold"}, 422, "/currency"),
        ("POST", SPEND, {**GOOD, "currency": "Gold"}, 422, "/currency"),
        ("POST", "/v1/loyalty/accounts/{via}/adjust", {**GOOD, "currency": "gold"}, 422, "/currency"),
        ("GET", "/v1/loyalty/summary?currency=gold", None, 422, "/currency"),
        ("GET", "/v1/loyalty/programme?version=0", None, 422, "query/version"),
    ],
)
async def test_bad_input_names_the_field(
    shop: Any, client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, field: str
) -> None:
    via = uuid7()
    await shop.order(via, 100)
    where = path.format(via=via, stranger=uuid7())
    answer = await client.request(method, where, json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize("verb", ["spend", "adjust"])
@pytest.mark.parametrize("field", ["reason", "reference"])
@pytest.mark.parametrize("piece", ["\\u0000", "\\ud800", "\\udfff"])
async def test_text_that_cannot_be_kept_is_refused(
    shop: Any, client: httpx.AsyncClient, verb: str, field: str, piece: str
) -> None:
    via = uuid7()
    await shop.order(via, 100)
    sent = json.dumps({**GOOD, field: "a?b"}).replace("?", piece)
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await client.post(f"/v1/loyalty/accounts/{via}/{verb}", content=sent, headers=headers)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]


@pytest.mark.parametrize(
    "key",
    [
        ["9999-12-31T23:59:59-23:00", str(uuid7())],
        ["0001-01-01T00:00:00+23:00", str(uuid7())],
        [10**30, str(uuid7())],
        [float("inf"), str(uuid7())],
        ["2026-01-01T00:00:00+00:00", 10**30],
        ["2026-01-01T00:00:00", str(uuid7())],
    ],
)
async def test_a_cursor_beyond_all_bounds_is_no_cursor(shop: Any, client: httpx.AsyncClient, key: list[Any]) -> None:
    via = uuid7()
    await shop.order(via, 100)
    for path in (f"/v1/loyalty/accounts/{via}/ledger", "/v1/loyalty/accounts"):
        answer = await client.get(path, params={"cursor": encode_cursor(key)})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_a_whole_number_may_be_spelled_with_a_point(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 100)
    answer = await client.post(
        SPEND.format(via=via), json={**GOOD, "points": 297.0 - 290.0}, headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json()["balance"]) == (201, 93)
