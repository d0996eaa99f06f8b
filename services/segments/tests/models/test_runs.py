"""Runs: history, flows, settings, and what happens between two of them and meanwhile."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.plugin import BoundDatabase
from perennial.common.timers import Timer
from perennial.segments.facts import service as facts
from perennial.segments.rfm.clusters import service as clusters
from perennial.segments.rfm.runs import building, computing, queries, service
from perennial.segments.rfm.settings import service as settings

Hear = Callable[..., Awaitable[None]]
Run = Callable[[], Awaitable[None]]
Bought = Callable[..., Any]
Settle = Callable[[], Awaitable[None]]
KEY = {"Idempotency-Key": "once"}
BANDS = {"recency_days": [365, 180, 90, 30], "frequency": [2, 3, 4, 5], "monetary": ["20", "30", "40", "50"]}


async def standing(client: httpx.AsyncClient, customer: UUID, currency: str = "USD") -> dict[str, Any]:
    answer = await client.get(f"/v1/rfm/customers/{customer}?currency={currency}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def cells(client: httpx.AsyncClient, path: str) -> dict[tuple[str | None, str | None], int]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return {(cell["before"], cell["after"]): cell["customers"] for cell in answer.json()["cells"]}


async def shop(hear: Hear, bought: Bought, count: int = 10) -> list[UUID]:
    """Each customer has bought later, more often and for more than those before."""
    customers = [uuid7() for _ in range(count)]
    events = [
        bought(via, 10 * (number + 1), days=count - number + again / 100)
        for number, via in enumerate(customers)
        for again in range(number + 1)
    ]
    await hear(*events)
    return customers


async def test_an_order_moves_its_customer_at_once_and_nobody_else(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought, run: Run
) -> None:
    customers = await shop(hear, bought)
    await run()
    before = {customer: await standing(client, customer) for customer in customers}
    assert [before[customer]["r"] for customer in customers] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert before[customers[0]]["group"] == "lost"
    await hear(*[bought(customers[0], 1000) for _ in range(20)])
    after = {customer: await standing(client, customer) for customer in customers}
    moved = after.pop(customers[0])
    assert (moved["r"], moved["f"], moved["m"], moved["group"], moved["class"]) == (
        5,
        5,
        5,
        "champions",
        "important_value",
    )
    assert after == {customer: before[customer] for customer in customers[1:]}
    async with database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM rfm_scoring"))).scalar_one() == 1


async def test_what_came_back_takes_a_customer_out_and_in_again(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run
) -> None:
    order = bought(days=3)
    await shop(hear, bought, 4)
    await hear(order)
    await run()
    assert (await standing(client, order.via))["frequency"] == 1
    number = {"order_id": order_id(order)}
    await hear(tracked("Order Cancelled", number, via=order.via))
    assert (await client.get(f"/v1/rfm/customers/{order.via}")).status_code == 404
    listed = (await client.get("/v1/rfm/customers?limit=200")).json()["items"]
    assert str(order.via) not in {item["customer_id"] for item in listed}
    assert (await client.get("/v1/rfm/summary")).json()["customers"] == 4
    await hear(bought(order.via))
    assert (await standing(client, order.via))["frequency"] == 1


def order_id(event: Any) -> str:
    found: str = msgspec.json.decode(event.body)["properties"]["order_id"]
    return found


async def test_flows_add_up_from_run_to_run_and_since_the_last(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run
) -> None:
    customers = await shop(hear, bought)
    await run()
    await hear(*[bought(customers[0], 1000) for _ in range(20)], bought())
    first = (await client.get("/v1/rfm/runs")).json()["items"][0]["id"]
    now = await cells(client, f"/v1/rfm/runs/{first}/flow")
    assert now["lost", "champions"] == 1
    assert sum(n for (before, _), n in now.items() if before is None) == 1
    await run()
    newest, oldest = (item["id"] for item in (await client.get("/v1/rfm/runs")).json()["items"])
    assert oldest == first
    for by in ("group", "class", "quadrant", "cluster"):
        flow = await cells(client, f"/v1/rfm/runs/{oldest}/flow?to={newest}&by={by}")
        for side, found in ((0, oldest), (1, newest)):
            report = (await client.get(f"/v1/rfm/report?by={by}&run_id={found}")).json()
            sums: dict[str, int] = {}
            for pair, n in flow.items():
                sums[pair[side] or ""] = sums.get(pair[side] or "", 0) + n
            left_out = {"", "none"}
            assert {key: n for key, n in sums.items() if key not in left_out} == {
                group["key"]: group["customers"] for group in report["groups"] if group["customers"]
            }
    assert sum((await cells(client, f"/v1/rfm/runs/{oldest}/flow?to={newest}")).values()) == 11
    for path in (f"{oldest}/flow?to={uuid7()}", f"{uuid7()}/flow", f"{uuid7()}"):
        assert (await client.get(f"/v1/rfm/runs/{path}")).status_code == 404


async def test_a_merge_counts_both_histories_and_a_split_takes_them_apart(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought, run: Run, settle: Settle
) -> None:
    customers = await shop(hear, bought)
    await run()
    one, other = customers[2], customers[7]
    before = [await standing(client, customer) for customer in (one, other)]

    async def assign(customer: UUID, version: int) -> None:
        async with database.write() as session:
            said = [Assignment(via=other, customer=customer, version=version)]
            await facts.follow_map(session, await identity_map.apply(session, said))
        await settle()

    await assign(one, 2)
    merged = await standing(client, other)
    assert (merged["customer_id"], merged["frequency"], merged["monetary"]) == (str(one), 11, "730.00")
    assert merged == await standing(client, one)
    await assign(other, 3)
    assert [await standing(client, customer) for customer in (one, other)] == before


async def test_whoever_is_derived_while_a_run_is_computed_is_in_it(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought
) -> None:
    customers = await shop(hear, bought)
    async with database.write() as session:
        await service.want(session, "asked")
    async with database.write() as session:
        found = await computing._begin(session)
    assert found is not None
    late = bought(revenue=5000)
    async with database.write() as session:
        rows = await computing.freeze(session, found, await settings.current(session), datetime.now(UTC))
        assert rows == len(customers)
    await hear(late, bought(customers[0], 7000))
    async with database.write() as session:
        await building.stand(session, found, rows)
        await building.report(session, found)
        await session.execute(text("DELETE FROM rfm_standing WHERE customer_id = :id"), {"id": late.via})
        assert set(await building.catch_up(session, found, "USD")) == {late.via, customers[0]}
        await building.switch(session, found, datetime.now(UTC), 0, "USD")
    assert (await standing(client, late.via))["monetary"] == "5000.00"
    assert (await standing(client, customers[0]))["monetary"] == "7010.00"


async def test_a_run_whose_process_died_is_begun_anew(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought
) -> None:
    await shop(hear, bought, 3)
    async with database.write() as session:
        await service.want(session, "asked")
    async with database.write() as session:
        begun = await computing._begin(session)
    assert await computing.compute_next(database)
    items = (await client.get("/v1/rfm/runs")).json()["items"]
    assert [(item["id"], item["state"]) for item in items if item["state"] != "wanted"] == [(str(begun), "serving")]


async def test_a_run_that_fails_leaves_the_one_before_and_does_not_stop_the_next(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought, run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await shop(hear, bought)
    await run()
    before = (await client.get("/v1/rfm/summary")).json()
    with monkeypatch.context() as broken:
        broken.setattr(clusters, "CHILD", "perennial.segments.rfm.clusters.missing")
        await run()
    assert (await client.get("/v1/rfm/summary")).json() == before
    newest = (await client.get("/v1/rfm/runs")).json()["items"][0]
    assert (newest["state"], newest["error"]) == ("failed", "RuntimeError")
    await run()
    assert (await client.get("/v1/rfm/runs")).json()["items"][0]["state"] == "serving"


async def test_a_run_that_fails_at_its_end_is_not_begun_again_by_the_next_order(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = await shop(hear, bought, 50)
    await run()
    with monkeypatch.context() as broken:
        broken.setattr(building, "switch", None)
        await run()
    async with database.write() as session:
        await session.execute(text("DELETE FROM timer WHERE kind = 'rfm'"))
    await hear(bought(customers[0]))
    async with database.read() as session:
        keys = (await session.execute(text("SELECT key FROM timer WHERE kind = 'rfm' ORDER BY key"))).scalars().all()
    assert keys == ["settle"]


async def test_the_first_orders_want_a_run_and_many_moves_want_another(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run
) -> None:
    async def wanted() -> int:
        async with database.write() as session:
            gone = await session.execute(text("DELETE FROM timer WHERE kind = 'rfm' AND key <> 'day' RETURNING 1"))
            return len(gone.all())

    customers = await shop(hear, bought, 50)
    assert await wanted()
    await run()
    assert await wanted() == 0
    asked = datetime.now(UTC)
    await hear(bought(customers[0]))
    async with database.read() as session:
        due = (await session.execute(text("SELECT due_at FROM timer WHERE key = 'settle'"))).scalar_one()
    assert due > asked + timedelta(seconds=service.SETTLED_SECONDS - 1)
    await hear(*map(bought, customers[:3]))
    assert await wanted() == 2
    await run()
    await hear(bought(customers[0], currency="CNY"))
    assert await wanted()


async def test_a_timer_only_says_that_a_run_is_wanted(database: BoundDatabase) -> None:
    async with database.write() as session:
        timers = [Timer(service.SCORE, "day", datetime.now(UTC), {"cause": "day"})]
        await service.wake(session, timers)
        await service.wake(session, timers)
        found = (await session.execute(text("SELECT state, cause FROM rfm_scoring"))).all()
        assert [tuple(row) for row in found] == [("wanted", "day")]


async def test_a_change_that_a_run_has_seen_to_wants_no_other(
    database: BoundDatabase, hear: Hear, bought: Bought, run: Run
) -> None:
    async def woken() -> bool:
        async with database.write() as session:
            await service.wake(session, [Timer(service.SCORE, service.SETTLE, datetime.now(UTC), {"cause": "change"})])
        return await computing.compute_next(database)

    customers = await shop(hear, bought, 50)
    await run()
    await hear(bought(customers[0]))
    await run()
    async with database.read() as session:
        assert not (await session.execute(text("SELECT true FROM timer WHERE key = 'settle'"))).first()
    assert not await woken()
    await hear(bought(customers[0]))
    assert await woken()


async def test_a_day_without_a_run_wants_one(database: BoundDatabase, run: Run) -> None:
    async with database.write() as session:
        await service.want_first(session)
    assert await computing.compute_next(database)
    async with database.write() as session:
        await service.want_first(session)
    assert not await computing.compute_next(database)


async def test_runs_are_kept_one_a_day_and_those_that_were_asked_for(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought
) -> None:
    await hear(bought())
    moved = text("""UPDATE rfm_scoring SET as_of = date_trunc('day', now(), 'UTC') - CAST(:days AS interval),
                        served_at = now() - interval '10 minutes' WHERE state = 'serving' RETURNING id""")
    made = []
    for days, cause in ((3, "day"), (3, "change"), (3, "asked"), (2, "change"), (1, "day"), (0, "change")):
        async with database.write() as session:
            await service.want(session, cause)
        assert await computing.compute_next(database)
        async with database.write() as session:
            made.append((await session.execute(moved, {"days": timedelta(days=days)})).scalar_one())
    kept = [item["id"] for item in (await client.get("/v1/rfm/runs")).json()["items"]]
    assert kept == [str(run) for run in made[:0:-1]]
    async with database.read() as session:
        assert set(await queries.superseded(session, 2, "UTC")) == set(made[1:4])
        rows = await session.execute(text("SELECT DISTINCT run_id FROM rfm_standing"))
        assert set(rows.scalars()) == set(made[1:])


async def test_who_was_erased_while_a_run_was_computed_is_not_in_it(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought, run: Run
) -> None:
    customers = await shop(hear, bought, 3)
    async with database.write() as session:
        await session.execute(text("INSERT INTO erased (via) VALUES (:via)"), {"via": customers[1]})
    await run()
    listed = (await client.get("/v1/rfm/customers")).json()["items"]
    assert {item["customer_id"] for item in listed} == {str(customers[0]), str(customers[2])}


async def test_settings_are_versions_and_begin_a_run(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Bought
) -> None:
    customers = await shop(hear, bought, 3)
    shipped = await client.get("/v1/rfm/settings")
    assert (shipped.json()["version"], shipped.json()["active_days"], shipped.headers["ETag"]) == (0, 90, '"0"')
    body = {"bands": {"USD": BANDS}, "high_value": {"USD": "55.50"}, "active_days": 2, "high_from": 2}
    assert (await client.put("/v1/rfm/settings", json=body)).status_code == 428
    changed = await client.put("/v1/rfm/settings", json=body, headers={"If-Match": '"0"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"1"'), changed.text
    assert changed.json()["bands"]["USD"]["monetary"] == ["20.00", "30.00", "40.00", "50.00"]
    assert (await client.put("/v1/rfm/settings", json=body, headers={"If-Match": '"0"'})).status_code == 412
    assert await computing.compute_next(database)
    found = [await standing(client, customer) for customer in customers]
    assert [(one["r"], one["f"], one["m"]) for one in found] == [(5, 1, 1), (5, 2, 4), (5, 3, 5)]
    assert [one["quadrant"] for one in found] == [
        "low_value_low_activity", "low_value_high_activity", "high_value_high_activity",
    ]  # fmt: skip
    assert [one["class"] for one in found] == ["general_development", "important_value", "important_value"]
    newest = (await client.get("/v1/rfm/runs")).json()["items"][0]
    assert (newest["cause"], newest["settings_version"]) == ("settings", 1)
    detail = (await client.get(f"/v1/rfm/runs/{newest['id']}")).json()["model"]
    assert (detail["method"], detail["high_value"], detail["high"]) == ("fixed", "55.50", {"r": 2, "f": 2, "m": 2})


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"bands": {"usd": BANDS}}, "/bands"),
        ({"bands": {"USD": BANDS | {"recency_days": [1, 2, 3, 4]}}}, "/bands/USD/recency_days"),
        ({"bands": {"USD": BANDS | {"monetary": ["1", "1", "2", "3"]}}}, "/bands/USD/monetary"),
        ({"bands": {"USD": BANDS | {"frequency": [1, 2, 3]}}}, "/bands/USD/frequency"),
        ({"high_value": {"USD": "NaN"}}, "/high_value/USD"),
        ({"active_days": 0}, "/active_days"),
        ({"keep_runs": 101}, "/keep_runs"),
        ({"high_from": 1}, "/high_from"),
        ({"quantiles": 5}, "/quantiles"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(client: httpx.AsyncClient, change: Any, where: str) -> None:
    answer = await client.put("/v1/rfm/settings", json=change, headers={"If-Match": "*"})
    assert answer.status_code == 422, answer.text
    assert any(error["pointer"].startswith(where) for error in answer.json()["errors"]), answer.text


async def test_a_run_is_asked_for_once_by_key(client: httpx.AsyncClient, database: BoundDatabase) -> None:
    asked = await client.post("/v1/rfm/runs", headers=KEY)
    assert (asked.status_code, asked.json()["state"], asked.json()["cause"]) == (201, "wanted", "asked")
    assert asked.headers["Location"] == f"/v1/rfm/runs/{asked.json()['id']}"
    assert (await client.post("/v1/rfm/runs", headers=KEY)).json() == asked.json()
    assert await computing.compute_next(database)
    assert not await computing.compute_next(database)
    assert (await client.get(asked.headers["Location"])).json()["state"] == "serving"


async def test_the_report_is_complete_in_json_and_in_csv(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run
) -> None:
    assert (await client.get("/v1/rfm/report")).json()["run_id"] is None
    await shop(hear, bought)
    await run()
    report = (await client.get("/v1/rfm/report?by=class")).json()
    assert len(report["groups"]) == 8
    assert (report["customers"], report["orders"], report["monetary"]) == (10, 55, "3850.00")
    assert sum(float(group["share"]) for group in report["groups"]) == pytest.approx(1)
    best = report["groups"][0]
    assert (best["key"], best["zh"]) == ("important_value", "重要价值客户")
    assert float(best["average"]) == pytest.approx(float(best["monetary"]) / best["customers"], abs=0.01)
    answer = await client.get("/v1/rfm/report?by=class&format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert lines[0] == "key,en,zh,customers,share,orders,monetary,average"
    assert lines[1].split(",")[0] == "important_value"
    assert len(lines) == 9
    other = (await client.get("/v1/rfm/report?currency=CNY")).json()
    assert (other["customers"], other["monetary"]) == (0, "0.00")


async def test_each_currency_has_standings_of_its_own(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run
) -> None:
    both = bought(revenue=5)
    await hear(both, bought(both.via, 7, currency="CNY"), bought(revenue=9))
    await run()
    assert (await standing(client, both.via))["monetary"] == "5.00"
    assert (await standing(client, both.via, "CNY"))["monetary"] == "7.00"
    newest = (await client.get("/v1/rfm/runs")).json()["items"][0]
    assert (await client.get(f"/v1/rfm/runs/{newest['id']}")).json()["currencies"] == ["USD", "CNY"]
    assert (await client.get(f"/v1/rfm/customers/{both.via}?currency=dollars")).status_code == 422


async def test_rules_ask_where_a_customer_stands(
    client: httpx.AsyncClient, hear: Hear, bought: Bought, run: Run, settle: Settle
) -> None:
    customers = await shop(hear, bought)
    await run()
    rule = {"all": [{"trait": "rfm.group", "is": "champions"}, {"trait": "rfm.m", "gte": 5}]}
    made = await client.post("/v1/segments", json={"name": "best", "rule": rule}, headers=KEY)
    assert made.status_code == 201, made.text
    await settle()

    async def members() -> set[str]:
        items = (await client.get(f"/v1/segments/{made.json()['id']}/members")).json()["items"]
        return {item["customer_id"] for item in items}

    assert await members() == {str(customer) for customer in customers[8:]}
    await hear(*[bought(customers[0], 1000) for _ in range(20)])
    assert await members() == {str(customers[n]) for n in (0, 8, 9)}
    liar = identified({"rfm": {"group": "champions", "m": 5}}, via=customers[1])
    await hear(liar)
    assert await members() == {str(customers[n]) for n in (0, 8, 9)}
    await run()
    await settle()
    assert await members() == {str(customers[n]) for n in (0, 9)}


async def test_who_sees_no_fields_may_ask_where_customers_stand(
    client: httpx.AsyncClient, token: Callable[..., str], hear: Hear, bought: Bought, run: Run, settle: Settle
) -> None:
    await shop(hear, bought, 3)
    await run()
    await settle()
    nobody = {"Authorization": f"Bearer {token('segments:read', fields=())}"}
    rule = {"trait": "rfm.r", "gte": 2}
    tried = await client.post("/v1/segments/preview", json={"rule": rule}, headers=nobody)
    assert (tried.status_code, tried.json().get("count")) == (200, 2), tried.text
