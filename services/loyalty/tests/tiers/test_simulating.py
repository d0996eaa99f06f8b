"""A programme is tried on the real members: who would move where, and nothing of them changes."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.loyalty.tiers.simulating import service

PATH = "/v1/loyalty/programme/simulate"
GREEN = {"code": "green", "kind": "service_level", "name": "green"}


async def simulate(client: httpx.AsyncClient, query: str = "", **changes: Any) -> httpx.Response:
    body = {"earn_rules": [{"name": "orders"}], "tiers": [{"name": "member", "threshold": 0}], **changes}
    return await client.post(PATH + query, json=body, headers={"Idempotency-Key": uuid7().hex})


async def done(shop: Any, client: httpx.AsyncClient, started: httpx.Response) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    while await worker.step_once(shop.runtime):
        pass
    found: dict[str, Any] = (await client.get(started.headers["Location"])).json()
    assert found["state"] == "succeeded", found
    return found


async def test_who_moves_where(shop: Any, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "BATCH", 2)  # several steps
    people = {name: uuid7() for name in ("poor", "silver", "gold", "buyer")}
    for name, points in (("poor", 10), ("silver", 700), ("gold", 2000)):
        await shop.order(people[name], points)
    for _ in range(3):
        await shop.order(people["buyer"], 1)
    await shop.assign(people["poor"], uuid7())  # an identifier without anything is no member of its own
    await shop.derive()
    before = (await shop.session.execute(text("SELECT * FROM tier_state ORDER BY 1"))).all()
    tiers = [
        {"name": "member", "threshold": 0},
        {"name": "silver", "threshold": 1000, "orders": 3, "benefits": [GREEN]},
        {"name": "gold", "threshold": 3000},
    ]
    started = await simulate(client, tiers=tiers)
    found = await done(shop, client, started)
    result = found["result"]
    assert result["matrix"] == {
        "member": {"member": 1, "silver": 1},
        "silver": {"member": 1},
        "gold": {"silver": 1},
    }
    assert {name: result[name] for name in ("members", "moved", "up", "down")} == {
        "members": 4, "moved": 3, "up": 1, "down": 2
    }  # fmt: skip
    assert result["ahead"]["member"] == {"member": 2}  # if nothing more is earned, orders leave the window too
    assert result["benefits"] == {"granted": {"green green": 2}, "revoked": {}}
    moves = {(item["customer_id"], item["from"], item["to"]) for item in result["sample"]}
    assert moves == {
        (str(people["silver"]), "silver", "member"),
        (str(people["gold"]), "gold", "silver"),
        (str(people["buyer"]), "member", "silver"),
    }
    named = await client.get(f"{started.headers['Location']}/files/moves.csv")
    assert named.text.splitlines()[0] == "customer_id,from,to,ahead"
    assert f"{people['gold']},gold,silver,member" in named.text.splitlines()
    assert (await shop.session.execute(text("SELECT * FROM tier_state ORDER BY 1"))).all() == before
    assert (await client.get("/v1/loyalty/programme")).json()["version"] == 1


async def test_it_agrees_with_what_publishing_does(shop: Any, client: httpx.AsyncClient) -> None:
    now, people = utc_now(), [uuid7() for _ in range(6)]
    for number, via in enumerate(people):
        await shop.order(via, 300 * number, at=now - timedelta(days=70 * number))
    await shop.derive()
    body: dict[str, Any] = {
        "tiers": [{"name": "base", "threshold": 0}, {"name": "top", "threshold": 500, "orders": 1}],
        "tiering": {"period": "calendar", "calendar": "quarter", "down": "one_step"},
    }
    result = (await done(shop, client, await simulate(client, **body)))["result"]
    put = {"earn_rules": [{"name": "orders"}], **body}
    assert (await client.put("/v1/loyalty/programme", json=put, headers={"If-Match": '"1"'})).status_code == 200
    await shop.session.execute(text("UPDATE tier_state SET clock = now()"))
    await shop.derive()
    rows = await shop.session.execute(text("SELECT tier, count(*) AS n FROM tier_state GROUP BY tier"))
    moved: dict[str, int] = {}
    for row in result["matrix"].values():
        for tier, count in row.items():
            moved[tier] = moved.get(tier, 0) + count
    assert {row.tier: row.n for row in rows} == moved


async def test_nobody_is_named_where_nobody_is_asked_for(shop: Any, client: httpx.AsyncClient) -> None:
    await shop.order(uuid7(), 700)
    await shop.derive()
    result = (await done(shop, client, await simulate(client, "?sample=0")))["result"]
    assert (result["moved"], result["down"], result["sample"]) == (1, 0, [])  # there is no silver to compare with


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [({"currencies": [{"code": "stars"}]}, "/currencies"), ({"tiers": []}, "/tiers")],
    ids=["currency", "tiers"],
)
async def test_what_could_not_be_published_is_not_tried(
    client: httpx.AsyncClient, changes: dict[str, Any], pointer: str
) -> None:
    answer = await simulate(client, **changes)
    assert answer.status_code == 422
    found = answer.json()
    assert pointer in {found.get("pointer"), *(error["pointer"] for error in found.get("errors", []))}
