"""Reports: their figures against what the books and the accounts say, as JSON and as CSV, each defined."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.operations import worker
from perennial.loyalty.points import service as points
from perennial.loyalty.reports import queries, service
from perennial.loyalty.reports.catalogue import REPORTS

PATH = "/v1/loyalty/reports"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def spend(client: httpx.AsyncClient, customer: UUID, amount: int, verb: str = "spend") -> None:
    answer = await client.post(
        f"/v1/loyalty/accounts/{customer}/{verb}",
        json={"points": amount, "reason": "x"},
        headers={"Idempotency-Key": uuid7().hex},
    )
    assert answer.status_code == 201, answer.text


async def report(shop: Any, client: httpx.AsyncClient, name: str, query: str = "") -> list[dict[str, Any]]:
    """A report as it is now."""
    await service.make(shop.session, name, utc_now())
    answer = await client.get(f"{PATH}/{name}{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_every_report_is_defined_and_made_on_demand(shop: Any, client: httpx.AsyncClient) -> None:
    listed = (await client.get(PATH)).json()["items"]
    assert [item["name"] for item in listed] == list(REPORTS) == list(queries.STATEMENTS)
    assert {item["as_of"] for item in listed} == {None}
    await shop.order(uuid7(), 100)
    await shop.derive()
    started = await client.post(f"{PATH}/refresh", headers={"Idempotency-Key": "1"})
    assert started.status_code == 202
    while await worker.step_once(shop.runtime):
        pass
    done = (await client.get(started.headers["Location"])).json()
    assert (done["state"], done["result"]) == ("succeeded", {"reports": len(REPORTS)})
    for name in REPORTS:
        answer = (await client.get(f"{PATH}/{name}")).json()
        assert answer["as_of"] is not None
        assert all(column["definition"] for column in answer["columns"])
        for item in answer["items"]:
            assert list(item) == [column["name"] for column in answer["columns"]]


async def test_by_tier(shop: Any, client: httpx.AsyncClient) -> None:
    now, rich, poor, idle = utc_now(), uuid7(), uuid7(), uuid7()
    await shop.order(rich, "600.50", at=now - timedelta(days=200))
    order = await shop.order(rich, 100, at=now - timedelta(days=10))
    await shop.refund(order, via=rich, properties={"revenue": 50})
    await shop.order(poor, 40)
    gone = await shop.order(poor, 60)
    await shop.refund(gone, via=poor)
    await shop.order(idle, 300, at=now - timedelta(days=400))
    await spend(client, rich, 30)
    await shop.derive()
    rows = {row.pop("tier"): row for row in await report(shop, client, "tiers")}
    assert rows == {
        "member": {
            "members": 2, "active": 1, "orders": 1, "spend": "40.00", "spend_percent": "5.79", "earned": 100,
            "spent": 0,
        },
        "silver": {
            "members": 1, "active": 1, "orders": 2, "spend": "650.50", "spend_percent": "94.21", "earned": 700,
            "spent": 30,
        },
    }  # fmt: skip


async def test_months_add_up_to_the_summary(shop: Any, client: httpx.AsyncClient) -> None:
    await shop.programme(LONG_AGO, expiry_months=1)
    via = uuid7()
    await shop.order(via, 100, at=utc_now() - timedelta(days=90))
    order = await shop.order(via, 60)
    await shop.refund(order, via=via, properties={"revenue": 20})
    while await points.expire_due(shop.session, utc_now()):
        pass
    await spend(client, via, 25)
    await spend(client, via, 7, "adjust")
    await shop.derive()
    [row] = await report(shop, client, "months")
    assert row == {
        "month": utc_now().strftime("%Y-%m"), "currency": "points", "earned": 160, "spent": 25, "reversed": 20,
        "expired": 100, "adjusted": 7, "net": 22, "breakage_percent": "62.50", "customers": 1,
    }  # fmt: skip
    total = (await client.get("/v1/loyalty/summary")).json()
    for name in ("earned", "spent", "reversed", "expired", "adjusted"):
        assert total[name] == row[name]


async def test_months_that_are_over_are_not_read_again(shop: Any, client: httpx.AsyncClient) -> None:
    now = utc_now()
    await shop.order(uuid7(), 10)
    old = {"month": "2020-01", "currency": "points", "earned": 5}
    this = {"month": now.strftime("%Y-%m"), "currency": "points", "earned": -1}
    await queries.store(shop.session, "months", now, [old, this])
    rows = await report(shop, client, "months")
    assert [(row["month"], row["earned"]) for row in rows] == [("2020-01", 5), (this["month"], 10)]
    assert [row["month"] for row in await report(shop, client, "months", "?since=2021-01")] == [this["month"]]
    assert [row["month"] for row in await report(shop, client, "months", "?until=2020-12")] == ["2020-01"]
    assert await report(shop, client, "months", "?currency=stars") == []


async def test_liability_is_what_customers_have(shop: Any, client: httpx.AsyncClient) -> None:
    await shop.programme(LONG_AGO, currencies=[
        {"code": "points", "expiry": {"kind": "date", "day": "12-31"}}, {"code": "growth", "kind": "growth"},
    ], earn_rules=[{"name": "a"}, {"name": "b", "currency": "growth"}])  # fmt: skip
    one, other = uuid7(), uuid7()
    await shop.order(one, 100)
    order = await shop.order(other, 50)
    await spend(client, one, 30)
    await spend(client, other, 45)
    await shop.refund(order, via=other)
    await shop.derive()
    year = utc_now().year
    rows = await report(shop, client, "liability")
    assert (
        rows
        == [
            {"month": f"{year}-12", "currency": "points", "points": 70, "pending": 0, "customers": 1},
            {"month": "never", "currency": "growth", "points": 100, "pending": 0, "customers": 1},
            {"month": "overdrawn", "currency": "points", "points": -45, "pending": 0, "customers": 1},
        ]
        or rows[0]["month"] == f"{year + 1}-01"
    )  # made in the night of the year
    assert (await client.get("/v1/loyalty/summary")).json()["liability"] == 70


async def test_cohorts_of_joiners(shop: Any, client: httpx.AsyncClient) -> None:
    now = utc_now().replace(day=15)
    last = (now.replace(day=1) - timedelta(days=1)).replace(day=15)
    one, other, new = uuid7(), uuid7(), uuid7()
    for via, at in ((one, last), (other, last), (one, now.replace(day=1)), (new, now.replace(day=1))):
        await shop.order(via, 10, at=at)
    merged = uuid7()
    await shop.order(merged, 5, at=now.replace(day=1))
    await shop.assign(other, merged)
    await shop.derive()
    rows = [
        (row["cohort"], row["later"], row["members"], row["active"], row["active_percent"], row["earned"])
        for row in await report(shop, client, "cohorts")
    ]
    assert rows == [
        (last.strftime("%Y-%m"), 0, 2, 2, "100.00", 20),
        (last.strftime("%Y-%m"), 1, 2, 2, "100.00", 15),
        (now.strftime("%Y-%m"), 0, 1, 1, "100.00", 10),
    ]


async def test_top_rewards_and_their_kinds(shop: Any, client: httpx.AsyncClient) -> None:
    via = uuid7()
    await shop.order(via, 1000)
    made = {}
    for name, kind in (("Mug", "goods"), ("Tea", "goods"), ("=Trip", "service")):
        body = {"kind": kind, "name": {"en": name}, "points": 10}
        answer = await client.post("/v1/rewards", json=body, headers={"Idempotency-Key": uuid7().hex})
        made[name] = answer.json()["id"]
    for name, verb in (("Mug", "confirm"), ("Mug", "confirm"), ("Tea", "cancel"), ("=Trip", "confirm")):
        path = f"/v1/loyalty/accounts/{via}/redemptions"
        sent = {"reward_id": made[name]}
        taken = await client.post(path, json=sent, headers={"Idempotency-Key": uuid7().hex})
        answer = await client.post(
            f"/v1/redemptions/{taken.json()['id']}/{verb}", json={}, headers={"Idempotency-Key": uuid7().hex}
        )
        assert answer.status_code == 200, answer.text
    rows = await report(shop, client, "rewards")
    assert [(row["name"], row["redemptions"], row["cancelled"], row["points"], row["customers"]) for row in rows] == [
        ("Mug", 2, 0, 20, 1),
        ("=Trip", 1, 0, 10, 1),
        ("Tea", 0, 1, 0, 0),
    ]
    kinds = await report(shop, client, "reward-kinds")
    assert [(row["kind"], row["redemptions"]) for row in kinds] == [("goods", 2), ("service", 1)]
    sheet = await client.get(f"{PATH}/rewards?format=csv")
    assert sheet.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = list(csv.reader(io.StringIO(sheet.text)))
    assert lines[0] == list(REPORTS["rewards"].columns)
    assert [line[1] for line in lines[1:]] == ["Mug", "'=Trip", "Tea"]  # no spreadsheet reckons with it
    marked = await client.get(f"{PATH}/rewards?format=csv&bom=true")
    assert marked.content == b"\xef\xbb\xbf" + sheet.content
    said = list(csv.reader(io.StringIO((await client.get(f"{PATH}/rewards?format=csv&part=definitions")).text)))
    assert said == [["column", "definition"], *map(list, REPORTS["rewards"].columns.items())]


async def test_the_referral_funnel(shop: Any, client: httpx.AsyncClient) -> None:
    at = datetime(2026, 3, 31, 23, tzinfo=UTC)
    await shop.session.execute(
        text("INSERT INTO referral_touch (id, via, code, kind, at) VALUES (:id, :via, 'abc', 'link', :at)"),
        {"id": uuid7(), "via": uuid7(), "at": at},
    )
    [row] = await report(shop, client, "referrals")
    assert (row["month"], row["touched"], row["qualified"], row["rewarded"]) == ("2026-03", 1, 0, 0)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nothing", 404), ("/months?since=2026-13", 422), ("/months?format=xml", 422), ("/months?currency=A", 422)],
    ids=["name", "month", "format", "currency"],
)
async def test_what_there_is_not(client: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await client.get(PATH + path)).status_code == status


async def test_customers_see_none(client: httpx.AsyncClient, token: Any) -> None:
    mine = {"Authorization": f"Bearer {token(via=uuid7())}"}
    assert (await client.get(f"{PATH}/months", headers=mine)).status_code == 403
