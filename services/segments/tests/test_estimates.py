"""Previews in a large shop: what takes too long is asked of a part of the customers, with all that is known of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from perennial.common import rules
from perennial.common.runtime import Runtime
from perennial.segments.definitions import previews, sampling, sizes
from perennial.segments.definitions.sampling import Counted

CUSTOMERS = 150
TWICE = {"event": "Bought", "within": "P30D", "count": {"gte": 2}}
PRO = {"trait": "plan", "is": "pro"}
WALK = {"sequence": [{"event": "Seen"}, {"event": "Bought", "within": "P2D"}], "within": "P30D"}
RULES: list[dict[str, Any]] = [
    PRO,
    TWICE,
    WALK,
    {"all": [TWICE, PRO]},
    {"all": [PRO, {"trait": "age", "gte": 40}]},
    {"any": [{"not": PRO}, {"event": "Bought", "within": "P30D", "count": {"eq": 0}}]},
    {"event": "Bought", "within": {"this": "year"}, "count": {"gte": 1}},
    {"trait": "plan", "exists": False},
]
# Two in three have a second identifier: it says their plan once more, and is who bought the second time.
FILL = """
    CREATE TEMP TABLE people ON COMMIT DROP AS
        SELECT n, md5('one' || n)::uuid AS one, md5('other' || n)::uuid AS other
        FROM generate_series(1, :customers) AS n;
    INSERT INTO identity_map (via, customer_id, version)
        SELECT one, one, 1 FROM people UNION ALL SELECT other, one, 1 FROM people WHERE n % 3 > 0;
    INSERT INTO trait (via, key, value, at, source, message_id)
        SELECT one, 'plan', to_jsonb(CASE n % 2 WHEN 0 THEN 'pro' ELSE 'free' END), now() - interval '2 days', 'w', 'm'
        FROM people WHERE n % 7 > 0
        UNION ALL SELECT other, 'plan', to_jsonb(CASE n % 5 WHEN 0 THEN 'pro' ELSE 'free' END),
                         now() - make_interval(days => n % 4), 'w', 'm' FROM people WHERE n % 3 > 0
        UNION ALL SELECT one, 'age', to_jsonb(n % 80), now(), 'w', 'm' FROM people;
    INSERT INTO event (id, via, name, at, properties)
        SELECT md5('b' || n)::uuid, one, 'Bought', now() - make_interval(days => n % 50, secs => 1), CAST('{}' AS jsonb)
        FROM people
        UNION ALL SELECT md5('c' || n)::uuid, other, 'Bought', now() - make_interval(secs => n), CAST('{}' AS jsonb)
        FROM people
                  WHERE n % 3 > 0
        UNION ALL SELECT md5('s' || n)::uuid, one, 'Seen', now() - make_interval(days => n % 3, secs => n),
                         CAST('{}' AS jsonb)
                  FROM people"""


@pytest.fixture
async def large(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop that counts as large, in which nothing is quick."""
    async with runtime.database.write() as session:
        for statement in FILL.split(";"):
            await session.execute(text(statement), {"customers": CUSTOMERS} if ":customers" in statement else {})
    monkeypatch.setattr(sampling, "FEW", -2)
    monkeypatch.setattr(previews, "QUICK", 0)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("number", range(len(RULES)))
async def test_a_part_answers_as_all_of_them_would(runtime: Runtime, number: int) -> None:
    rule, now = rules.parse(RULES[number]), datetime.now(UTC) + timedelta(seconds=1)
    async with runtime.database.read() as session:
        exact = await previews.preview(session, rule, now, exact=True)
        guess = await previews.preview(session, rule, now)
        query = rules.to_sql(rule, now)
        among = text(f"SELECT count(*) FROM ({query.text}) AS h WHERE uuid_hash(customer_id) < :end")
        found = (await session.execute(among, {**query.params, "end": -(2**31) + 2**29})).scalar_one()
    assert (guess.counted, exact.counted.times) == (Counted(found, 8), 1)
    assert abs(guess.counted.count - exact.counted.count) <= guess.counted.margin
    for one, other in zip(guess.leaves, exact.leaves, strict=True):
        assert one.counted is not None
        assert other.counted is not None
        assert (one.counted.times, other.counted.times) == (8, 1)
        assert abs(one.counted.count - other.counted.count) <= one.counted.margin


@pytest.mark.usefixtures("large")
async def test_an_estimate_is_told_from_a_count(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"all": [TWICE, PRO]}
    guess = (await client.post("/v1/segments/preview", json={"rule": rule})).json()
    assert (guess["exact"], guess["estimated"], guess["margin"] > 0, guess["count"] % 8) == (False, True, True, 0)
    assert all(leaf["margin"] > 0 for leaf in guess["leaves"])
    exact = (await client.post("/v1/segments/preview", json={"rule": rule, "exact": True})).json()
    assert (exact["exact"], exact["margin"], [leaf["margin"] for leaf in exact["leaves"]]) == (True, 0, [0, 0])
    monkeypatch.setattr(previews, "QUICK", 10)
    monkeypatch.setattr(previews, "QUICK_LEAVES", 0)
    mixed = (await client.post("/v1/segments/preview", json={"rule": rule})).json()
    assert (mixed["exact"], mixed["count"], mixed["margin"]) == (True, exact["count"], 0)
    assert [leaf["count"] for leaf in mixed["leaves"]] == [leaf["count"] for leaf in guess["leaves"]]


@pytest.mark.usefixtures("large")
async def test_the_sizes_of_large_segments_are_estimated_from_the_same_part(
    client: httpx.AsyncClient, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"many": 3, "few": 20}  # one in so many is a member
    async with runtime.database.write() as session:
        for name, rare in names.items():
            await session.execute(
                text("""WITH made AS (
                            INSERT INTO segment (id, name, rule, serving_rule, state, version, serving_version)
                            VALUES (gen_random_uuid(), :name, '{"everyone": true}', '{"everyone": true}', 'live', 1, 1)
                            RETURNING id)
                        INSERT INTO membership (segment_id, customer_id, since, version)
                        SELECT made.id, one, now(), 1 FROM made, people WHERE n % :rare = 0"""),
                {"name": name, "rare": rare},
            )
        among = "SELECT count(*) FROM people WHERE n % 3 = 0 AND uuid_hash(one) < :end"
        found = (await session.execute(text(among), {"end": -(2**31) + 2**27})).scalar_one()
    monkeypatch.setattr(sizes, "COUNTED", 20)

    async def tried(**more: Any) -> dict[str, Any]:
        answer = await client.post("/v1/segments/preview", json={"rule": {"event": "Bought"}, **more})
        return {item["name"]: item for item in answer.json()["overlaps"]}

    guess, exact = await tried(), await tried(exact=True)
    assert {name: (item["size"], item["size_margin"]) for name, item in exact.items()} == {
        "many": (50, 0),
        "few": (7, 0),
    }
    assert (guess["few"]["size"], guess["few"]["size_margin"]) == (7, 0)
    assert (guess["many"]["size"], guess["many"]["size_margin"]) == (found * 32, Counted(found, 32).margin)
    assert abs(guess["many"]["size"] - 50) <= guess["many"]["size_margin"]


async def test_small_shops_are_counted(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "QUICK", 0)
    tried = (await client.post("/v1/segments/preview", json={"rule": TWICE})).json()
    assert (tried["exact"], tried["count"], tried["margin"]) == (True, 0, 0)


@pytest.mark.parametrize(
    ("found", "low", "high"), [(0, 0, 3.69), (1, 0.025, 5.57), (10, 4.8, 18.39), (100, 81.4, 121.6)]
)
def test_the_margin_holds_the_interval_of_poisson(found: int, low: float, high: float) -> None:
    counted = Counted(found, 1_000_000)
    assert counted.count - counted.margin <= low * 1_000_000
    assert counted.count + counted.margin >= high * 999_999
    assert Counted(found).margin == 0
