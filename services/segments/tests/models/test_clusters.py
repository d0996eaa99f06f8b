"""Five clusters: the same every time, named by where they lie, explained."""

from collections.abc import Awaitable, Callable
from itertools import permutations
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from perennial.common.ids import uuid7
from perennial.common.testing.plugin import BoundDatabase
from perennial.segments.rfm.clusters import kmeans, service
from perennial.segments.rfm.runs import service as wishes
from perennial.segments.rfm.runs.computing import compute_next

Hear = Callable[..., Awaitable[None]]
Run = Callable[[], Awaitable[None]]
CENTERS: list[service.Center] = [
    (-1.0, 2.0, 2.0),
    (-1.2, 0.5, 0.4),
    (-1.5, -1.0, -1.0),
    (0.5, 0.1, 0.0),
    (1.5, -0.5, -0.6),
]
NAMES = ["high_value", "potential", "new", "sleeping", "lost"]
SHAPES = {  # days since, orders, amount of each
    "high_value": (2, 12, 300),
    "potential": (8, 4, 60),
    "new": (1, 1, 15),
    "sleeping": (150, 2, 40),
    "lost": (800, 1, 10),
}


def test_names_do_not_depend_on_the_order_of_the_centroids() -> None:
    for order in permutations(range(5)):
        named = service.name([CENTERS[place] for place in order])
        assert [(one.name, one.center) for one in named] == list(zip(NAMES, CENTERS, strict=True))


def test_centroids_are_found_and_are_the_same_every_time() -> None:
    random = np.random.default_rng(7)
    points = np.concatenate([random.normal(center, 0.05, (200, 3)) for center in CENTERS])
    first = kmeans.fit(points)
    assert first is not None
    assert np.array_equal(first, kmeans.fit(points.copy()))  # type: ignore[arg-type]
    for center in CENTERS:
        assert np.linalg.norm(first - center, axis=1).min() < 0.05


@pytest.mark.parametrize("different", [1, 4])
def test_fewer_than_five_that_differ_are_no_clusters(different: int) -> None:
    points = np.repeat(np.arange(different * 3, dtype=float).reshape(-1, 3), 10, axis=0)
    assert kmeans.fit(points) is None


def test_the_least_that_can_be_clustered() -> None:
    points = np.array(CENTERS)
    found = kmeans.fit(points)
    assert found is not None
    assert sorted(map(tuple, found.tolist())) == sorted(CENTERS)


async def test_the_process_answers_as_the_function_does() -> None:
    points = [(x, x / 2, -x) for x in map(float, range(40))]
    found = await service.find(points)
    assert found is not None
    expected = kmeans.fit(np.array(points))
    assert expected is not None
    assert sorted(one.center for one in found) == sorted(map(tuple, expected.tolist()))


async def test_a_process_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "CHILD", "perennial.segments.rfm.clusters.missing")
    with pytest.raises(RuntimeError, match="exit code"):
        await service.find([(1.0, 2.0, 3.0)])


async def test_customers_are_in_clusters_and_the_run_says_why(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Callable[..., Any], run: Run
) -> None:
    wanted = {}
    events = []
    for name, (days, orders, amount) in SHAPES.items():
        for number in range(6):
            via = uuid7()
            wanted[str(via)] = name
            events += [bought(via, amount + number, days=days + n / 10) for n in range(orders)]
    await hear(*events)
    await run()
    found = {
        item["customer_id"]: item["cluster"]
        for item in (await client.get("/v1/rfm/customers?limit=200")).json()["items"]
    }
    assert found == wanted
    runs = (await client.get("/v1/rfm/runs")).json()["items"]
    detail = (await client.get(f"/v1/rfm/runs/{runs[0]['id']}")).json()
    told = detail["model"]["clusters"]
    assert [one["cluster"] for one in told["centroids"]] == NAMES
    lost = told["centroids"][-1]
    assert lost["zh"] == "流失客户"
    assert lost["because"]
    assert 700 < float(lost["center"]["recency_days"]) < 900
    assert lost["z"]["recency_days"] > 1
    assert [one["customers"] for one in detail["model"]["groups"]["cluster"]] == [6] * 5
    async with database.read() as session:
        before = (await session.execute(text("SELECT centers FROM rfm_model"))).scalar_one()
    await run()
    async with database.read() as session:
        again = (await session.execute(text("SELECT centers FROM rfm_model ORDER BY as_of DESC LIMIT 1"))).scalar_one()
    assert again == pytest.approx(before, abs=1e-4)


async def test_too_few_customers_are_told_why(
    client: httpx.AsyncClient, hear: Hear, bought: Callable[..., Any], run: Run
) -> None:
    await hear(bought(), bought())
    await run()
    runs = (await client.get("/v1/rfm/runs")).json()["items"]
    detail = (await client.get(f"/v1/rfm/runs/{runs[0]['id']}")).json()
    assert detail["model"]["clusters"] == {"centroids": [], "reason": service.TOO_FEW, "as_of": None}
    assert (await client.get("/v1/rfm/customers")).json()["items"][0]["cluster"] is None


async def test_clusters_are_kept_for_a_day_unless_somebody_asks_or_the_shop_outgrows_them(
    database: BoundDatabase, hear: Hear, bought: Callable[..., Any], run: Run, shop: Callable[..., Any]
) -> None:
    async def found(cause: str) -> tuple[bool, list[float]]:
        """Whether the run has found its centroids itself, and those."""
        async with database.write() as session:
            await wishes.want(session, cause)
        assert await compute_next(database)
        async with database.read() as session:
            rows = await session.execute(
                text("""SELECT clustered_at = m.as_of, centers FROM rfm_model AS m JOIN rfm_scoring AS s
                        ON s.id = m.run_id WHERE s.state = 'serving' AND m.currency = 'USD'""")
            )
        new, centers = rows.one()
        return new, centers

    customers = await shop(10)
    new, first = await found("new")
    assert new
    await hear(*(bought(via, 10_000) for via in customers[:5]))
    assert await found("change") == (False, first)
    assert await found("day") == (False, first)
    new, second = await found("asked")
    assert (new, second != first) == (True, True)
    async with database.write() as session:
        await session.execute(text("UPDATE rfm_model SET clustered_at = clustered_at - interval '1 day'"))
    assert (await found("change"))[0]
    await hear(*(bought(revenue=number) for number in range(9)))
    assert not (await found("change"))[0]
    await hear(bought(revenue=99))
    assert (await found("change"))[0]


async def test_who_is_in_which_cluster_follows_the_centroids_that_are_kept(
    client: httpx.AsyncClient, database: BoundDatabase, hear: Hear, bought: Callable[..., Any], shop: Callable[..., Any]
) -> None:
    customers = await shop(10)
    told = []
    for cause in ("new", "change"):
        async with database.write() as session:
            await wishes.want(session, cause)
        assert await compute_next(database)
        items = (await client.get("/v1/rfm/customers")).json()["items"]
        told.append({item["customer_id"]: item["cluster"] for item in items})
        if cause == "new":
            await hear(*(bought(customers[0], 1000) for _ in range(20)))
    lost, best = told[0].pop(str(customers[0])), told[1].pop(str(customers[0]))
    assert (lost, best) == ("lost", "high_value")
    assert told[0] == told[1]
