"""The catalogue: what staff offers, in versions; what is wrong with an offer is named."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.contracts.loyalty import ErasureCompleted
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.common.web.cursors import encode_cursor
from perennial.loyalty.rewards.queries import MANY

MUG: dict[str, Any] = {"kind": "goods", "name": {"en": "Mug", "zh": "杯子"}, "points": 60}
KEY = {"Idempotency-Key": "k"}


async def test_an_offer_in_versions(client: httpx.AsyncClient) -> None:
    body = {**MUG, "money": {"amount": 9.9, "currency": "EUR"}, "limits": [{"count": 2, "per": "day"}], "stock": 5}
    answer = await client.post("/v1/rewards", json=body, headers=KEY)
    made = answer.json()
    assert (answer.status_code, answer.headers["ETag"], made["currency"]) == (201, '"1"', "points")
    assert (made["money"], made["taken"], made["codes_left"]) == ({"amount": "9.9", "currency": "EUR"}, 0, None)
    path = f"/v1/rewards/{made['id']}"
    assert answer.headers["Location"] == path
    assert (await client.post("/v1/rewards", json=body, headers=KEY)).json() == made
    assert (await client.put(path, json=MUG)).status_code == 428
    changed = await client.put(path, json={**MUG, "points": 70}, headers={"If-Match": '"1"'})
    assert (changed.json()["points"], changed.json()["money"], changed.headers["ETag"]) == (70, None, '"2"')
    assert (await client.put(path, json=MUG, headers={"If-Match": '"1"'})).status_code == 412
    got = await client.get(path)
    assert (got.json(), got.headers["ETag"]) == (changed.json(), '"2"')
    assert (await client.get(path, headers={"If-None-Match": '"2"'})).status_code == 304


async def test_the_list_pages_through_every_reward_once(client: httpx.AsyncClient) -> None:
    for number in range(5):
        body = {**MUG, "points": number, "state": "archived" if number == 3 else "active"}
        await client.post("/v1/rewards", json=body, headers={"Idempotency-Key": str(number)})
    seen: list[int] = []
    path: str | None = "/v1/rewards?limit=2&state=active"
    while path:
        answer = (await client.get(path)).json()
        seen += [item["points"] for item in answer["items"]]
        path = answer["next_cursor"] and f"/v1/rewards?limit=2&state=active&cursor={answer['next_cursor']}"
    assert sorted(seen) == [0, 1, 2, 4]


async def test_the_stock_cannot_fall_below_what_is_taken(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 200)
    made = (await client.post("/v1/rewards", json={**MUG, "stock": 5}, headers=KEY)).json()["id"]
    for number in range(2):
        path, headers = f"/v1/loyalty/accounts/{via}/redemptions", {"Idempotency-Key": str(number)}
        assert (await client.post(path, json={"reward_id": made}, headers=headers)).status_code == 201
    change = {"If-Match": "*"}
    answer = await client.put(f"/v1/rewards/{made}", json={**MUG, "stock": 1}, headers=change)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/stock")
    answer = await client.put(f"/v1/rewards/{made}", json={**MUG, "stock": 2, "points": 99}, headers=change)
    assert (answer.json()["taken"], answer.json()["version"]) == (2, 2)
    path = f"/v1/loyalty/accounts/{via}/redemptions"
    first = (await client.get(path)).json()["items"][0]
    assert (first["points"], first["reward_version"]) == (60, 1), "what is reserved keeps its terms"
    answer = await client.post(
        path, json={"reward_id": made, "points": 60}, headers={"Idempotency-Key": "the old price"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "price_changed")


CARD = {"kind": "voucher", "name": {"en": "x"}, "points": 1, "codes": True}


@pytest.mark.parametrize(("codes", "stock", "left"), [(3, None, 3), (3, 2, 2), (0, None, 0), (MANY + 3, None, MANY)])
async def test_of_a_large_pool_customers_are_told_that_there_are_many(
    client: httpx.AsyncClient, token: Any, codes: int, stock: int | None, left: int
) -> None:
    made = (await client.post("/v1/rewards", json={**CARD, "stock": stock}, headers=KEY)).json()["id"]
    if codes:
        pool = {"codes": [f"c {number}" for number in range(codes)]}
        assert (await client.post(f"/v1/rewards/{made}/codes", json=pool, headers=KEY)).json()["left"] == codes
    mine = {"Authorization": f"Bearer {token(via=uuid7())}"}
    [offer] = (await client.get("/v1/me/rewards", headers=mine)).json()["items"]
    assert (offer["left"], "sold_out" in offer["why_not"]) == (left, not codes)
    assert (await client.get(f"/v1/rewards/{made}")).json()["codes_left"] == codes


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**MUG, "kind": "car"}, "/kind"),
        ({**MUG, "name": {}}, "/name"),
        ({**MUG, "name": {"de": "Tasse"}}, "/name/de/[key]"),
        ({**MUG, "name": {"en": " "}}, "/name/en"),
        ({**MUG, "points": -1}, "/points"),
        ({**MUG, "points": "60"}, "/points"),
        ({**MUG, "points": 10**13}, "/points"),
        ({**MUG, "currency": "gold"}, "/currency"),
        ({**MUG, "money": {"amount": 0, "currency": "EUR"}}, "/money/amount"),
        ({**MUG, "money": {"amount": "1.2345", "currency": "EUR"}}, "/money/amount"),
        ({**MUG, "money": {"amount": "NaN", "currency": "EUR"}}, "/money/amount"),
        ({**MUG, "money": {"amount": 1, "currency": "euro"}}, "/money/currency"),
        ({**MUG, "stock": -1}, "/stock"),
        ({**MUG, "limits": [{"count": 1, "per": "week"}]}, "/limits/0/per"),
        ({**MUG, "limits": [{"count": 1, "per": "day", "tier": "duke"}]}, "/tiers"),
        ({**MUG, "tiers": ["duke"]}, "/tiers"),
        ({**MUG, "starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, ""),
        ({**MUG, "starts_at": "2026-01-02"}, "/starts_at"),
        ({**MUG, "starts_at": 5}, "/starts_at"),
        ({**MUG, "hold_minutes": 0}, "/hold_minutes"),
        ({**MUG, "codes": True}, ""),
        ({**MUG, "instant": True}, ""),
        ({**MUG, "kind": "credit"}, ""),
        ({**MUG, "kind": "credit", "credit": {"currency": "points", "points": 5}}, "/credit/currency"),
        ({**MUG, "colour": "red"}, "/colour"),
    ],
)
async def test_a_bad_offer_names_the_field(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await client.post("/v1/rewards", json=body, headers=KEY)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [error["pointer"] for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", "/v1/rewards/{reward}?x=1", None, 200, ""),
        ("GET", "/v1/rewards/{stranger}", None, 404, "path/reward_id"),
        ("GET", "/v1/rewards/nothing", None, 422, "path/reward_id"),
        ("GET", "/v1/rewards?state=new", None, 422, "query/state"),
        ("GET", "/v1/rewards?cursor=WzFd", None, 400, "query/cursor"),
        ("GET", "/v1/rewards/{stranger}/codes", None, 404, "path/reward_id"),
        ("GET", "/v1/rewards/{reward}/codes?cursor=WyJ4Il0", None, 400, "query/cursor"),
        ("POST", "/v1/rewards/{stranger}/codes", {"codes": ["a"]}, 404, "path/reward_id"),
        ("POST", "/v1/rewards/{reward}/codes", {"codes": ["a"]}, 422, "/codes"),
        ("POST", "/v1/rewards/{reward}/codes", {"codes": []}, 422, "/codes"),
        ("POST", "/v1/rewards/{reward}/codes", {"codes": [5]}, 422, "/codes/0"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {}, 422, "/reward_id"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {"reward_id": "x"}, 422, "/reward_id"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {"reward_id": "{stranger}"}, 422, "/reward_id"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {"reward_id": "{paid}", "confirm": True}, 422, "/confirm"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {"reward_id": "{paid}", "confirm": 1}, 422, "/confirm"),
        ("POST", "/v1/loyalty/accounts/{via}/redemptions", {"reward_id": "{paid}", "points": 59}, 409, "/points"),
        ("POST", "/v1/loyalty/accounts/{stranger}/redemptions", {"reward_id": "{paid}"}, 404, "path/customer_id"),
        ("GET", "/v1/loyalty/accounts/{stranger}/redemptions", None, 404, "path/customer_id"),
        ("GET", "/v1/redemptions?state=new", None, 422, "query/state"),
        ("GET", "/v1/redemptions?cursor=WzFd", None, 400, "query/cursor"),
        ("GET", "/v1/redemptions/{stranger}", None, 404, "path/redemption_id"),
        ("POST", "/v1/redemptions/{stranger}/confirm", {}, 404, "path/redemption_id"),
        ("POST", "/v1/redemptions/{stranger}/confirm", {"payment_reference": " "}, 422, "/payment_reference"),
        ("POST", "/v1/redemptions/{stranger}/fulfil", None, 404, "path/redemption_id"),
        ("POST", "/v1/redemptions/{stranger}/cancel", {}, 404, "path/redemption_id"),
        ("POST", "/v1/redemptions/{stranger}/cancel", {"reason": "x" * 201}, 422, "/reason"),
    ],
)
async def test_bad_input_names_the_field(
    shop: Any, client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, field: str
) -> None:
    via = uuid7()
    await shop.order(via, 100)
    paid = {**MUG, "money": {"amount": "5", "currency": "EUR"}}
    ids = {"via": str(via), "stranger": str(uuid7())}
    for name, offered in (("reward", MUG), ("paid", paid)):
        answer = await client.post("/v1/rewards", json=offered, headers={"Idempotency-Key": name})
        ids[name] = answer.json()["id"]
    sent = json.loads(json.dumps(body), object_hook=lambda found: {
        name: value.format(**ids) if isinstance(value, str) else value for name, value in found.items()
    })  # fmt: skip
    answer = await client.request(method, path.format(**ids), json=sent, headers=KEY)
    assert answer.status_code == status, answer.text
    assert field in [error["pointer"] for error in answer.json().get("errors", [{"pointer": ""}])]
    assert await shop.balance(via) == 100


@pytest.mark.parametrize("piece", ["\\u0000", "\\ud800"])
async def test_text_that_cannot_be_kept_is_refused(client: httpx.AsyncClient, piece: str) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    for body in ({**MUG, "name": {"en": "a?b"}}, {**MUG, "description": {"en": "a?b"}}, {**CARD, "tiers": ["a?b"]}):
        sent = json.dumps(body).replace("?", piece)
        assert (await client.post("/v1/rewards", content=sent, headers=headers)).status_code == 422
    made = (await client.post("/v1/rewards", json=CARD, headers=KEY)).json()["id"]
    sent = json.dumps({"codes": ["a?b"]}).replace("?", piece)
    assert (await client.post(f"/v1/rewards/{made}/codes", content=sent, headers=headers)).status_code == 422


@pytest.mark.parametrize(
    "key", [["9999-12-31T23:59:59-23:00", str(uuid7())], [10**18, "x"], ["2026-01-01T00:00:00", str(uuid7())]],
    ids=["beyond", "numbers", "naive"],
)  # fmt: skip
async def test_a_cursor_beyond_all_bounds_is_no_cursor(client: httpx.AsyncClient, token: Any, key: list[Any]) -> None:
    mine = {"Authorization": f"Bearer {token(via=uuid7())}"}
    for path, headers in (("rewards", {}), ("redemptions", {}), ("me/rewards", mine), ("me/redemptions", mine)):
        answer = await client.get(f"/v1/{path}", params={"cursor": encode_cursor(key)}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([], set()),
        (["loyalty:read"], {"read"}),
        (["loyalty:write"], {"write"}),
        (["loyalty:manage"], {"manage"}),
    ],
    ids=["none", "read", "write", "manage"],
)
async def test_each_route_asks_for_its_scope(
    client: httpx.AsyncClient, token: Any, scopes: list[str], allowed: set[str]
) -> None:
    some = uuid7()
    asked = {
        "read": [("GET", "/v1/rewards"), ("GET", "/v1/redemptions"), ("GET", f"/v1/rewards/{some}")],
        "write": [("POST", f"/v1/redemptions/{some}/{verb}") for verb in ("confirm", "fulfil", "cancel")],
        "manage": [("POST", "/v1/rewards"), ("PUT", f"/v1/rewards/{some}"), ("GET", f"/v1/rewards/{some}/codes")],
    }
    headers = {**KEY, "Authorization": f"Bearer {token(*(scopes or ['customers:read']))}", "If-Match": "*"}
    for need, routes in asked.items():
        for method, path in routes:
            answer = await client.request(method, path, json={} if method != "GET" else None, headers=headers)
            assert (answer.status_code != 403) == (need in allowed), (method, path, answer.text)
    for path in ("/v1/me/rewards", "/v1/me/redemptions"):
        assert (await client.get(path, headers=headers)).status_code == 403


async def test_words_and_references_are_masked(shop: Any, client: httpx.AsyncClient, token: Any) -> None:
    via = uuid7()
    await shop.order(via, 100)
    made = (await client.post("/v1/rewards", json=MUG, headers=KEY)).json()["id"]
    path = f"/v1/loyalty/accounts/{via}/redemptions"
    held = (await client.post(path, json={"reward_id": made}, headers=KEY)).json()["id"]
    said = {"payment_reference": "ada@example.com"}
    await client.post(f"/v1/redemptions/{held}/confirm", json=said, headers=KEY)
    await client.post(f"/v1/redemptions/{held}/cancel", json={"reason": "call +4915112345678"}, headers=KEY)
    veiled = {"Authorization": f"Bearer {token('loyalty:read', fields=())}"}
    for where in (path, "/v1/redemptions"):
        clear, hidden = [(await client.get(where, headers=h)).json()["items"][0] for h in ({}, veiled)]
        assert (clear["payment_reference"], clear["note"]) == ("ada@example.com", "call +4915112345678")
        assert "ada@" not in hidden["payment_reference"]
        assert "15112345678" not in hidden["note"]


async def test_a_person_is_forgotten_and_the_stock_is_not(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC))
    await shop.order(via, 100)
    made = (await client.post("/v1/rewards", json=MUG, headers=KEY)).json()["id"]
    path = f"/v1/loyalty/accounts/{via}/redemptions"
    held = (await client.post(path, json={"reward_id": made}, headers=KEY)).json()["id"]
    said = {"payment_reference": "invoice of Ada"}
    await client.post(f"/v1/redemptions/{held}/confirm", json=said, headers=KEY)
    await client.post(f"/v1/redemptions/{held}/cancel", json={"reason": "Ada called"}, headers=KEY)
    await shop.say(CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=utc_now()))
    await worker.run_all(shop.runtime)
    (receipt,) = await shop.said(ErasureCompleted)
    tables = {row["table"]: row for row in receipt["tables"]}
    assert tables["redemption"]["erased"] == 1
    left = (await client.get(f"/v1/redemptions/{held}")).json()
    assert (left["payment_reference"], left["note"], left["state"]) == (None, None, "cancelled")
