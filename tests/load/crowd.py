"""A crowd for the benchmark of segments, made inside Postgres: customers, their traits and half a year of events.

The scale is PERENNIAL_BENCH_CUSTOMERS (1 million; ten events each). One in four has a second identifier, a third of the
events are of one customer in twenty, and time runs as the rows do, as in life. At full scale it takes some 6 GB.
"""

import os
import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import asyncpg

CUSTOMERS = int(os.environ.get("PERENNIAL_BENCH_CUSTOMERS", "1000000"))
EVENTS, DAYS, PER_CUSTOMER, SEGMENTS = CUSTOMERS * 10, 180, 5, 100
CITIES = ("Basel", "Bern", "Chur", "Genf", "Lugano", "Luzern", "Olten", "Thun", "Zug", "Zürich")
GROUPS = ("champions", "loyal", "promising", "at_risk", "lost")
CATEGORIES = ("toys", "books", "garden", "shoes", "food")
ORDERED, ADDED, VIEWED = "Order Completed", "Product Added", "Product Viewed"

_PEOPLE = """
    CREATE TABLE public.crowd AS
        SELECT n::int, uuidv7() AS id, uuidv7() AS other FROM generate_series(1, {customers}) AS n;
    INSERT INTO {schema}.identity_map (via, customer_id, version)
        SELECT id, id, 1 FROM public.crowd UNION ALL SELECT other, id, 1 FROM public.crowd WHERE n % 4 = 0;
    CREATE INDEX ON public.crowd (n);
    ANALYZE public.crowd"""
_TRAITS = """
    INSERT INTO segments.trait (via, key, value, at, source, message_id)
    SELECT via, key, value, now() - random() * interval '180 days', 'web', 'crowd'
    FROM (SELECT id, other, n,
                 ('{{Basel,Bern,Chur,Genf,Lugano,Luzern,Olten,Thun,Zug,Zürich}}'::text[])[1 + n % 10] AS city,
                 (ARRAY['free', 'free', 'free', 'pro'])[1 + n / 10 % 4] AS plan, 18 + n / 7 % 70 AS age,
                 1 + (random() * 4)::int AS r, 1 + (random() * 4)::int AS f, 1 + (random() * 4)::int AS m
          FROM public.crowd) AS c,
    LATERAL (VALUES (id, 'city', to_jsonb(city)), (id, 'plan', to_jsonb(plan)), (id, 'age', to_jsonb(age)),
                    (CASE WHEN n % 4 = 0 THEN other END, 'plan', to_jsonb('pro'::text)),
                    (CASE WHEN n % 5 < 2 THEN id END, 'rfm', jsonb_build_object('r', r, 'f', f, 'm', m, 'group',
                     (ARRAY['champions', 'loyal', 'promising', 'at_risk', 'lost'])[6 - r]))) AS t (via, key, value)
    WHERE via IS NOT NULL"""
_EVENTS = """
    INSERT INTO segments.event (id, via, name, at, properties)
    SELECT uuidv7(), CASE WHEN c.n % 4 = 0 AND chance < 0.3 THEN c.other ELSE c.id END, name, at,
        CASE WHEN name = 'Order Completed' THEN jsonb_build_object('order_id', e.n::text, 'revenue', price, 'currency',
            'USD', 'products', jsonb_build_array(product)) ELSE product END
    FROM (SELECT n, random() AS chance, (ARRAY['Order Completed', 'Product Viewed', 'Product Viewed', 'Product Viewed',
                    'Product Viewed', 'Product List Viewed', 'Page Viewed', 'Page Viewed', 'Product Added',
                    'Checkout Started'])[1 + (random() * 9.999)::int % 10] AS name,
                 now() - interval '{days} days' * (1 - n::float / {events}) - interval '1 hour' AS at,
                 CASE WHEN n % 3 = 0 THEN 20 * (1 + (random() * ({customers} / 20 - 1))::int)
                      ELSE 1 + (random() * ({customers} - 1))::int END AS who, 5 + (random() * 95)::int AS price
          FROM generate_series(1, {events}) AS n) AS e
    JOIN public.crowd AS c ON c.n = e.who,
    LATERAL (SELECT jsonb_build_object('product_id', (e.n % 1000)::text, 'name', 'A product', 'price', price,
        'category', ('{{toys,books,garden,shoes,food}}'::text[])[1 + e.n % 5],
        'url', 'https://shop.example/products/' || e.n % 1000) AS product) AS p"""
_SIZE = "SELECT coalesce((SELECT sum({0}(relid)) FROM pg_partition_tree($1::regclass)), {0}($1::regclass))::float"
_MONTHS = """
    SELECT segments.make_event_month((now() - make_interval(months => n))::date)
    FROM generate_series(0, {days} / 28) AS n"""
_INDEXES = """
    SELECT indexname, replace(indexdef, 'ON ONLY', 'ON'), conname, pg_get_constraintdef(pg_constraint.oid)
    FROM pg_indexes
    LEFT JOIN pg_constraint ON conname = indexname AND connamespace = 'segments'::regnamespace
    WHERE schemaname = 'segments' AND tablename = $1 ORDER BY indexname"""
_MEMBERS = """
    INSERT INTO segments.membership (segment_id, customer_id, since, version)
    SELECT s.id, c.id, now(), 1 FROM public.crowd AS c
    JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM segments.segment) AS s
      ON s.n % {every} = c.n % {every} WHERE c.n > {active}"""
_SEGMENT = """
    INSERT INTO segments.segment (id, name, rule, state, version, serving_rule, serving_version, as_of)
    SELECT uuidv7(), 'bench ' || n, rule::jsonb, 'live', 1, rule::jsonb, 1, now()
    FROM unnest($1::text[]) WITH ORDINALITY AS r (rule, n)"""


async def fill(admin: asyncpg.Connection, documents: list[str], active: int) -> None:
    """Everything; the first `active` customers are in no segment before they are computed."""
    scale = {
        "customers": CUSTOMERS,
        "events": EVENTS,
        "days": DAYS,
        "active": active,
        "every": SEGMENTS // PER_CUSTOMER,
    }
    await admin.execute("SELECT setseed(0.5)")
    await admin.execute(_PEOPLE.format(schema="segments", **scale))
    await admin.execute("INSERT INTO profile.identity_map SELECT * FROM segments.identity_map")
    await admin.execute(_TRAITS.format(**scale))
    await admin.execute(_MONTHS.format(**scale))
    await _bulk(admin, "event", _EVENTS.format(**scale))
    await admin.execute(_SEGMENT, documents)
    await _bulk(admin, "membership", _MEMBERS.format(**scale))
    await admin.execute("VACUUM ANALYZE")


async def people(admin: asyncpg.Connection, count: int) -> list[UUID]:
    """The first of the crowd."""
    found = await admin.fetch("SELECT id FROM public.crowd WHERE n <= $1 ORDER BY n", count)
    return [row["id"] for row in found]


async def _bulk(admin: asyncpg.Connection, table: str, statement: str) -> None:
    """Indexes are made when the rows are there."""
    indexes = await admin.fetch(_INDEXES, table)
    for name, _, constraint, _ in indexes:
        drop = (
            f"ALTER TABLE segments.{table} DROP CONSTRAINT {constraint}"
            if constraint
            else f"DROP INDEX segments.{name}"
        )
        await admin.execute(drop)
    await admin.execute(statement)
    for _, definition, constraint, said in indexes:
        whole = f"ALTER TABLE segments.{table} ADD CONSTRAINT {constraint} {said}"
        await admin.execute(whole if constraint else definition)


def rules() -> Iterator[dict[str, Any]]:
    """A hundred as people write them, no two alike: two in five of traits, the others of events in windows and of both.

    Those who added something to the cart and ordered nothing in about a week churn the most.
    """
    chance, seen = random.Random(7), list[dict[str, Any]]()
    for number in range(SEGMENTS):
        rule = _drawn(chance)[number % 10]
        while rule in seen:
            rule = _drawn(chance)[number % 10]
        seen.append(rule)
        yield rule


def _drawn(chance: random.Random) -> list[dict[str, Any]]:
    """One of each shape."""
    days, about_a_week, city = chance.choice((7, 14, 30, 90)), f"P{chance.randrange(2, 13)}D", chance.choice(CITIES)
    age, count, plan = chance.randrange(18, 60), chance.randrange(1, 4), {"trait": "plan", "is": "pro"}
    window, ordered = f"P{days}D", {"event": ORDERED, "within": f"P{days}D"}
    viewed = {"event": VIEWED, "within": window}
    return [
        {"trait": "city", "is": city},
        {"all": [plan, {"trait": "age", "between": [age, age + 10]}]},
        {"trait": "rfm.group", "in": sorted(chance.sample(GROUPS, chance.choice((1, 2))))},
        {"all": [{"trait": "rfm.r", "gte": count + 1}, {"trait": "city", "in": sorted(chance.sample(CITIES, 3))}]},
        {**viewed, "count": {"gte": count}},
        {"all": [{**ordered, "count": {"gte": count}}, plan]},
        {
            "all": [
                {"event": ADDED, "within": about_a_week},
                {**ordered, "within": about_a_week, "count": {"eq": 0}},
            ]
        },
        {**ordered, "sum": {"property": "revenue", "gte": 50 * count}},
        {**viewed, "where": [{"property": "category", "is": chance.choice(CATEGORIES)}], "count": {"gte": count}},
        {
            "sequence": [{"event": ADDED}, {"event": ORDERED, "within": f"P{chance.choice((1, 2, 3))}D"}],
            "within": window,
        },
    ]


async def sizes(admin: asyncpg.Connection) -> dict[str, float]:
    """Megabytes per million rows of each table, and of the event table's rows alone."""
    found = {}
    for table in ("event", "trait", "membership", "identity_map"):
        rows = await admin.fetchval(f"SELECT count(*) FROM segments.{table}")
        found[table] = await admin.fetchval(_SIZE.format("pg_total_relation_size"), f"segments.{table}") / rows
    own = await admin.fetchval(_SIZE.format("pg_relation_size"), "segments.event")
    return found | {"event without indexes": own / EVENTS}
