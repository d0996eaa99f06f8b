"""Every operator on every awkward value: the closures, the SQL and the naive oracle, without chance."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.tests.rules.oracle.naive import naive
from perennial.common import rules
from perennial.common.rules import Occurrence, View
from perennial.common.rules.facts import EventFact, TraitFact, load_views, record_events, record_traits

NOW = datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
EDGES = [NOW + days * DAY + tick for days in (-30, -1, 0, 1, 30) for tick in (-TICK, timedelta(), TICK)]
DATES = [
    *(at.isoformat() for at in EDGES),
    "2026-05-31", "2026-06-01", "2026-06-02T00:00Z", "2026-05-31T23:59:59.999999999Z", "2026-06-01T12:00:00.2500009",
    "2026-06-01T20:00:00.25+08:00", "2026-06-01 12:00:00.25", "2026-06-01T08:00:00.250000-0400",
    "2026-06-01T12:00:00,25Z",
    "2026-02-30", "2026-02-29T10:00Z", "2024-02-29", "2026-13-01", "2026-6-1",
    "2026-06-01T24:00:00Z", "2026-06-01T12:00:60Z",
    "2026-06-01T12Z", "2026-06-01Z", "1799-12-31", "3000-01-01", "2026-06-01T12:00:00+15:00", "2026-06-01t12:00:00z",
    "2026-06-01\n", "infinity", "now", "today", "2026-06-01 BC",
]  # fmt: skip
NUMERALS = ["5", "5.0", " 5 ", "+5", "5.", ".5", "-.5", "-0", "1e3", "5\n", "\t5", "٥", "9" * 30, "9" * 31, "1_0",
            "0x1", "NaN", "Infinity", "--5", "+-5", ".", "", " ", "5 0", "0.1", "0.1000000000000000001"]  # fmt: skip
TEXTS = ["a", "pro", "PRO", "a%b", "a%b_c\\d", "a*b?c", "aXbYc", "中文标签", "trüe", "true", "false", "null", " pro",
         "pro\n", "x\ny", "prop", "apro", "\\", "%", "_", "ab" * 300, "'; --", ":now", "e\u0301", "é",
         "😀", "a😀b"]  # fmt: skip
NUMBERS = [0, 1, 5, -5, 100, Decimal("0.1"), Decimal("0.30"), Decimal("5.00"), Decimal("1e-20"), Decimal("-0.0"),
           10**29, 10**30, -(10**30), 10**40, Decimal("1E+5"), 2.5, 1e16, 1e-7, 13_800_138_000,
           Decimal("1e-400")]  # fmt: skip
NESTED = [[], {}, [5], ["pro", None], [["pro"]], [{"pro": 1}], {"pro": "pro"}, [True, "5"], [None]]
VALUES: list[Any] = [*DATES, *NUMERALS, *TEXTS, *NUMBERS, *NESTED, True, False, None]

SCALARS: list[Any] = [
    "",
    "pro",
    "5",
    "true",
    "a%b",
    "1",
    "100000",
    "é",
    5,
    0,
    0.1,
    0.3,
    10**29,
    True,
    False,
    "2026-06-01",
]
PARTS = ["pro", "o", "%", "_", "\\", "5", "签", "\n", "0.", "😀", "2026"]
PATTERNS = ["*", "?", "pro", "p*", "*o", "*r*", "a?b*", "a*b?c", "%", "a_b", "\\", "*\\*", "???", "*?", "**", "p**o",
            "*pro*pro*", "pro*pro", "pro*o", "5*0"]  # fmt: skip
MOMENTS = ["PT0S", "P1D", "P30D", "2026-06-01", *(at.isoformat() for at in EDGES[::4])]
EXPRESSIONS = [
    "pro",
    "^p",
    "o$",
    "^$",
    ".",
    "^.{3}$",
    "[0-9]+",
    r"\d{2,}",
    r"^\w+$",
    r"\s",
    "签|é",
    "[^a-z]",
    r"\.",
    "\\\\",
]
CONDITIONS: list[dict[str, Any]] = [
    *({name: of} for name, of in product(["is", "is_not", "contains", "not_contains"], SCALARS)),
    *({name: of} for name, of in product(["in", "not_in"], [["pro", 5], ["5"], [0, 5, 100], [True, "中文标签"]])),
    *({name: of} for name, of in product(["starts_with", "ends_with"], PARTS)),
    *({"matches": of} for of in PATTERNS),
    *({"regex": of} for of in EXPRESSIONS),
    *({"exists": of} for of in (True, False)),
    *({name: of} for name, of in product(["gt", "gte", "lt", "lte"], [0, 5, 0.1, -5, 1e-20, 10**29])),
    *({name: of} for name, of in product(["before", "after"], MOMENTS)),
    *({name: of} for name, of in product(["within_last", "within_next"], ["PT1S", "P1D", "P30D"])),
]


async def by_sql(session: AsyncSession, rule: rules.Rule) -> set[UUID]:
    query = rules.to_sql(rule, NOW)
    found = list((await session.execute(text(query.text), query.params)).scalars())
    assert len(found) == len(set(found))
    return set(found)


async def add_customers(session: AsyncSession, customers: Iterable[UUID]) -> None:
    await session.execute(
        text("INSERT INTO identity_map SELECT v, v, 1 FROM unnest(CAST(:v AS uuid[])) AS v"), {"v": list(customers)}
    )


async def agree(session: AsyncSession, views: dict[UUID, View], documents: list[dict[str, Any]]) -> None:
    reads = rules.footprint(rules.parse({"any": documents[:150]}))
    loaded = await load_views(session, list(views), reads, NOW)
    for document in documents:
        rule = rules.parse(document)
        holds = rules.compile(rule)
        expected = {customer for customer, view in views.items() if naive(document, view, NOW)}
        assert {customer for customer, view in views.items() if holds(view, NOW)} == expected, document
        assert {customer for customer, view in loaded.items() if holds(view, NOW)} == expected, document
        assert await by_sql(session, rule) == expected, document


async def test_every_operator_on_every_value(facts: AsyncSession) -> None:
    customers = [UUID(int=n) for n in range(len(VALUES))]
    await add_customers(facts, customers)
    await record_traits(
        facts, [TraitFact(via, "x", value, NOW, "s", "m") for via, value in zip(customers, VALUES, strict=True)]
    )
    views = {via: View(via, {"x": value}) for via, value in zip(customers, VALUES, strict=True)}
    await agree(facts, views, [{"trait": "x", **condition} for condition in CONDITIONS])
    await agree(facts, views, [{"trait": "x[]", **condition} for condition in CONDITIONS[::3]])


async def test_every_operator_through_lists(facts: AsyncSession) -> None:
    chance = Random(1)
    traits = {
        UUID(int=n): {
            "items": [{"v": chance.choice(VALUES)} for _ in range(chance.randrange(4))],
            "deep": {"a.b": value},
        }
        for n, value in enumerate(VALUES)
    }
    await add_customers(facts, traits)
    rows = [TraitFact(via, key, value, NOW, "s", "m") for via, both in traits.items() for key, value in both.items()]
    await record_traits(facts, rows)
    views = {via: View(via, both) for via, both in traits.items()}
    for path in ("items[].v", "deep.a\\.b", "items[]", "deep[]", "deep.x"):
        await agree(facts, views, [{"trait": path, **condition} for condition in CONDITIONS[::3]])


def measures() -> list[dict[str, Any]]:
    limits: list[dict[str, Any]] = [
        {"eq": 0},
        {"eq": 1},
        {"gt": 1},
        {"gte": 2},
        {"lt": 2},
        {"lte": 5},
        {"gte": 0.3, "lte": 0.3},
    ]
    whole = [limit for limit in limits if 0.3 not in limit.values()]
    paths = ["total", "items[].price", "items[]", "none"]
    times = [{name: of} for name, of in product(["before", "after"], MOMENTS)] + [{"within_last": "P1D"}]
    return [
        {},
        *({"count": limit} for limit in whole),
        *(
            {name: {"property": path, **limit}}
            for name, path, limit in product(["sum", "average", "min", "max"], paths, limits)
        ),
        *({name: when} for name, when in product(["first", "last"], times)),
    ]


def history(chance: Random) -> list[Occurrence]:
    amounts = [Decimal("0.1"), Decimal("0.2"), "0.3", 0, 1, 2, 5, "5", "x", None, True, 10**30]
    return sorted(
        (
            Occurrence(
                chance.choice(EDGES),
                {
                    "total": chance.choice(amounts),
                    "items": [{"price": chance.choice(amounts)} for _ in range(chance.randrange(3))],
                }
                if chance.random() < 0.9
                else {},
            )
            for _ in range(chance.randrange(5))
        ),
        key=lambda item: item.at,
    )


async def test_every_measure_over_every_window(facts: AsyncSession) -> None:
    chance = Random(2)
    views = {UUID(int=n): View(UUID(int=n), {}, {"E": found} if (found := history(chance)) else {}) for n in range(150)}
    await add_customers(facts, views)
    rows = [(view.customer_id, item) for view in views.values() for found in view.events.values() for item in found]
    await record_events(
        facts, [EventFact(UUID(int=n), via, "E", item.at, item.properties) for n, (via, item) in enumerate(rows)]
    )
    filters: list[dict[str, Any]] = [
        {},
        {"where": [{"property": "items[].price", "gte": 1}, {"property": "total", "is_not": 5}]},
    ]
    spans: list[dict[str, Any]] = [{}, {"within": "P1D"}, {"within": "P30D"}]
    questions = [
        {"event": "E", **where, **span, **measure} for where, span, measure in product(filters, spans, measures())
    ]
    for start in range(0, len(questions), 150):
        await agree(facts, views, questions[start : start + 150])
