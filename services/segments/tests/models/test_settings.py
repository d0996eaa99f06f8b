"""How RFM is computed is data, and what comes of it a report."""

import math
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import ValidationError

from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.runs import computing
from perennial.segments.settings import SegmentsSettings

Run = Callable[[], Awaitable[None]]
Shop = Callable[..., Awaitable[list[UUID]]]
Standing = Callable[..., Awaitable[dict[str, Any]]]
BANDS = {"recency_days": [365, 180, 90, 30], "frequency": [2, 3, 4, 5], "monetary": ["20", "30", "40", "50"]}


async def test_settings_are_versions_and_begin_a_run(
    client: httpx.AsyncClient, database: BoundDatabase, standing: Standing, shop: Shop
) -> None:
    customers = await shop(3)
    shipped = await client.get("/v1/rfm/settings")
    assert (shipped.json()["version"], shipped.json()["active_days"], shipped.headers["ETag"]) == (0, 90, '"0"')
    body = {"bands": {"USD": BANDS}, "high_value": {"USD": "55.50"}, "active_days": 2, "high_from": 2}
    assert (await client.put("/v1/rfm/settings", json=body)).status_code == 428
    changed = await client.put("/v1/rfm/settings", json=body, headers={"If-Match": '"0"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"1"'), changed.text
    assert changed.json()["bands"]["USD"]["monetary"] == ["20.00", "30.00", "40.00", "50.00"]
    assert (await client.put("/v1/rfm/settings", json=body, headers={"If-Match": '"0"'})).status_code == 412
    assert await computing.compute_next(database)
    found = [await standing(customer) for customer in customers]
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


async def test_the_report_is_complete_in_json_and_in_csv(client: httpx.AsyncClient, run: Run, shop: Shop) -> None:
    assert (await client.get("/v1/rfm/report")).json()["run_id"] is None
    await shop()
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


@pytest.mark.parametrize("said", [{"rfm_share": 1e-300}, {"rfm_cluster_hours": 1e12}, {"rfm_cluster_hours": math.inf}])
def test_a_pause_that_no_clock_holds_is_refused_at_the_start(said: dict[str, float]) -> None:
    """Else every derivation of an order, or every run, would fail by it."""
    with pytest.raises(ValidationError, match=next(iter(said))):
        SegmentsSettings(**said)  # type: ignore[arg-type]
