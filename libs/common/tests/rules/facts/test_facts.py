"""Facts are written in any order and loaded for exactly what a rule reads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common import rules
from perennial.common.rules.facts import EventFact, TraitFact, load_views, record_events, record_traits
from perennial.common.rules.facts.tables import MANY

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ONE, TWO, THREE = (UUID(int=n) for n in (1, 2, 3))
READS = rules.footprint(
    rules.parse({"all": [{"trait": "plan", "exists": True}, {"event": "Order", "within": "P30D"}]})
).in_detail()


async def own(session: AsyncSession, via: UUID, customer: UUID) -> None:
    await session.execute(
        text(
            """INSERT INTO identity_map VALUES (:via, :customer, 1)
                ON CONFLICT (via) DO UPDATE SET customer_id = :customer"""
        ),
        {"via": via, "customer": customer},
    )


async def plan_of(session: AsyncSession, customer: UUID) -> object:
    return (await load_views(session, [customer], READS, NOW))[customer].traits.get("plan")


async def test_the_latest_fact_wins_in_any_order(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    rows = [
        TraitFact(ONE, "plan", "first", NOW - DAY, "z", "9"),
        TraitFact(ONE, "plan", "second", NOW, "B", "2"),
        TraitFact(ONE, "plan", "third", NOW, "a", "1"),
        TraitFact(ONE, "plan", "fourth", NOW, "a", "10"),
    ]
    for order in permutations(rows):
        await facts.execute(text("DELETE FROM trait"))
        await record_traits(facts, order[:2])
        for row in order[2:]:
            await record_traits(facts, [row])
        assert await plan_of(facts, ONE) == "fourth"


async def test_of_one_message_the_later_spelling_counts(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    spelled = [TraitFact(ONE, key, value, NOW, "a", "1") for key, value in (("Plan", "free"), ("plan", "pro"))]
    for _ in range(2):
        await record_traits(facts, spelled)
        assert await plan_of(facts, ONE) == "pro"


async def test_null_clears_and_an_older_value_does_not_return(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    await record_traits(facts, [TraitFact(ONE, "plan", None, NOW, "a", "2")])
    await record_traits(facts, [TraitFact(ONE, "Plan", "pro", NOW - DAY, "a", "1")])
    assert await plan_of(facts, ONE) is None


@pytest.mark.parametrize("stamps", [(("b", "1"), ("a", "2")), (("a", "2"), ("a", "1")), (("a", "x"), ("B", "x"))])
async def test_a_tie_between_identifiers_is_settled_alike(
    facts: AsyncSession, stamps: tuple[tuple[str, str], tuple[str, str]]
) -> None:
    await own(facts, ONE, ONE)
    await own(facts, TWO, ONE)
    (winner, loser) = stamps
    await record_traits(
        facts, [TraitFact(ONE, "plan", "pro", NOW, *winner), TraitFact(TWO, "plan", "free", NOW, *loser)]
    )
    assert await plan_of(facts, ONE) == "pro"
    query = rules.to_sql(rules.parse({"trait": "plan", "is": "pro"}), NOW)
    assert (await facts.execute(text(query.text), query.params)).scalars().all() == [ONE]


async def test_a_merge_and_its_undo_are_the_map_alone(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    await own(facts, TWO, TWO)
    await record_events(facts, [EventFact(UUID(int=n), via, "Order", NOW, {}) for n, via in enumerate([ONE, TWO, TWO])])
    query = rules.to_sql(rules.parse({"event": "Order", "count": {"gte": 2}}), NOW)
    for owner, expected in ((TWO, {TWO}), (ONE, {ONE}), (TWO, {TWO})):
        await own(facts, TWO, owner)
        assert set((await facts.execute(text(query.text), query.params)).scalars()) == expected


BOUNDS = [{operator: bound} for operator in ("eq", "gt", "gte", "lt", "lte") for bound in range(3)]
BOUNDS += [{"gte": 1, "lt": 2}, {"gt": 0, "lte": 1}]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
async def test_where_one_occurrence_decides_and_where_not(facts: AsyncSession, bounds: dict[str, int]) -> None:
    for count, customer in enumerate((ONE, TWO, THREE)):
        await own(facts, customer, customer)
        await record_events(facts, [EventFact(uuid4(), customer, "Order", NOW, {}) for _ in range(count)])
    rule = rules.parse({"event": "Order", "count": bounds})
    query, holds = rules.to_sql(rule, NOW), rules.compile(rule)
    views = await load_views(facts, [ONE, TWO, THREE], rules.footprint(rule), NOW)
    expected = {customer for customer, view in views.items() if holds(view, NOW)}
    assert set((await facts.execute(text(query.text), query.params)).scalars()) == expected


async def test_the_same_event_twice_is_one(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    for total in (1, 2):
        await record_events(facts, [EventFact(ONE, ONE, "Order", NOW, {"total": total})] * 2)
    (found,) = (await load_views(facts, [ONE], READS, NOW))[ONE].events["Order"]
    assert found.properties == {"total": 1}


async def test_many_events_with_repeats_among_them_are_kept_once(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    said = {"total": Decimal("1.50"), "名": 'a "b" \\ c\n', "none": None, "items": [{"n": 1}]}
    many = [EventFact(UUID(int=n), ONE, "Order", NOW - timedelta(seconds=n), said) for n in range(MANY)]
    raw = EventFact(UUID(int=MANY), ONE, "Order", NOW - timedelta(seconds=MANY), msgspec.Raw(b'{"total": 1.50}'))
    await record_events(facts, many)
    for again in ([raw, *many], [*many, raw, raw]):
        await record_events(facts, again)
        found = (await load_views(facts, [ONE], READS, NOW))[ONE].events["Order"]
        assert [item.at for item in found] == [fact.at for fact in reversed([*many, raw])]
        assert {item.properties["total"] for item in found} == {Decimal("1.5")}
    kept = await facts.execute(text("SELECT properties FROM event WHERE id = :id"), {"id": many[0].id})
    assert kept.scalar_one() == {**said, "total": 1.5}


async def test_only_what_the_rule_reads_is_loaded(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    await record_traits(facts, [TraitFact(ONE, key, 1, NOW, "a", "1") for key in ("plan", "age")])
    ats = (("Order", NOW - 30 * DAY), ("Order", NOW - DAY), ("Order", NOW + DAY), ("Page", NOW))
    await record_events(facts, [EventFact(UUID(int=n), ONE, name, at, {}) for n, (name, at) in enumerate(ats)])
    views = await load_views(facts, [ONE, THREE], READS, NOW)
    assert views[ONE].traits == {"plan": 1}
    assert [item.at for item in views[ONE].events["Order"]] == [NOW - DAY, NOW + DAY]
    assert list(views[ONE].events) == ["Order"]
    assert not views[THREE].traits
    assert not views[THREE].events


async def test_numbers_arrive_exactly(facts: AsyncSession) -> None:
    await own(facts, ONE, ONE)
    document = msgspec.Raw(
        b'{"a": 0.1000000000000000055511151231257827, "b": 12345678901234567890123456789012345, "c": [1.5, 2]}'
    )
    await record_events(facts, [EventFact(ONE, ONE, "Order", NOW, document)])
    (found,) = (await load_views(facts, [ONE], READS, NOW))[ONE].events["Order"]
    assert found.properties == {
        "a": Decimal("0.1000000000000000055511151231257827"),
        "b": 12345678901234567890123456789012345,
        "c": [Decimal("1.5"), 2],
    }


async def test_nothing_to_write_and_nothing_to_read(facts: AsyncSession) -> None:
    await record_traits(facts, [])
    await record_events(facts, [])
    assert await load_views(facts, [], READS, NOW) == {}


async def test_a_trait_needs_its_stamp(facts: AsyncSession) -> None:
    with pytest.raises(DBAPIError, match="message_id"):
        await record_traits(facts, [TraitFact(ONE, "plan", 1, NOW, "a", None)])  # type: ignore[arg-type]


def test_properties_are_read_only_where_a_rule_asks_for_them() -> None:
    counted = {"event": "Order", "count": {"gte": 2}}
    summed = {"event": "Order", "sum": {"property": "total", "gte": 2}}
    filtered = {"event": "Order", "where": [{"property": "total", "gte": 2}]}
    assert rules.footprint(rules.parse(counted)).detailed == frozenset()
    for rule in (summed, filtered, {"any": [counted, summed]}):
        assert rules.footprint(rules.parse(rule)).detailed == {"Order"}
