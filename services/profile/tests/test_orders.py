"""Orders: one row per order, whatever is said of it, however often, in whatever order."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common import orders as told
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database, WriteSession
from perennial.common.ids import uuid7
from perennial.common.orders import COLUMNS, REFUNDED, fold
from perennial.common.testing.events import identified, tracked
from perennial.profile.orders.summary import Sum, headline, money

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


async def orders(get: Show, via: UUID) -> Any:
    return (await get(f"/v1/customers/{via}"))["orders"]


async def test_an_order_counts_once_whatever_the_message_ids(hear: Hear, get: Show) -> None:
    via = uuid7()
    order = {"order_id": "A1", "revenue": "19.90"}
    await hear(tracked("Order Completed", order, via=via, at=at(0)))
    await hear(
        tracked("Order Completed", order, via=via, at=at(7)), tracked("Order Completed", order, via=uuid7(), at=at(9))
    )
    await hear(tracked("Order Completed", order, via=via, at=at(1), source="app"))
    shown = await orders(get, via)
    assert (shown["count"], shown["gmv"], shown["aov"]) == (2, "39.80", "19.90")
    assert shown["last_order_at"] == "2026-05-01T12:01:00Z"


async def test_old_names_and_other_cases_of_an_event_are_the_event(hear: Hear, get: Show) -> None:
    via = uuid7()
    for n, name in enumerate(["Completed Order", "order completed", " Order Completed "]):
        await hear(tracked(name, {"order_id": n, "total": 12, "shipping": "1.50", "tax": "0.50"}, via=via))
    shown = await get(f"/v1/customers/{via}")
    assert (shown["orders"]["count"], shown["orders"]["gmv"]) == (3, "30.00")
    assert {name: counter["count"] for name, counter in shown["counters"].items()} == {"Order Completed": 3}


STORY = (
    ("Order Completed", {"order_id": "A1", "revenue": 100, "products": [{"price": 1}, {"price": 2}]}, 0),
    ("Order Updated", {"order_id": "A1", "revenue": 80}, 5),
    ("Order Updated", {"order_id": "A1", "revenue": 90}, 3),
    ("Order Refunded", {"order_id": "A1", "total": "12.50"}, 9),
    ("Order Refunded", {"order_id": "A1", "total": 7.5}, 8),
)


async def test_every_order_of_arrival_tells_the_same_story(begun: WriteSession) -> None:
    via = uuid7()
    for arrival in itertools.permutations(range(len(STORY))):
        source = "".join(map(str, arrival))
        for n in arrival:
            name, properties, minutes = STORY[n]
            event = tracked(name, properties, via=via, at=at(minutes), source=source, message_id=f"m{n}")
            await told.write(begun, fold([event]))
    rows = await begun.execute(
        text(f"SELECT DISTINCT via, completed_at, amount, {REFUNDED} AS refunded, items FROM purchase")
    )
    assert [tuple(row) for row in rows] == [(via, at(0), Decimal(80), Decimal(20), 2)]


Said = st.lists(
    st.tuples(
        st.sampled_from(["Order Completed", "Order Updated", "Order Refunded", "Order Cancelled", "Product Viewed"]),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([None, "1.005", -3, 20, "junk", 1e13]),
        st.integers(0, 3),
        st.sampled_from(["USD", "eur", None, 7]),
    ),
    min_size=1,
    max_size=7,
)


def said(story: list[Any], source: str) -> list[ResolvedEvent]:
    return [
        tracked(
            name,
            {"order_id": order, "revenue": revenue, "currency": currency},
            via=UUID(int=n + 1), at=at(minutes), source=source, message_id=f"m{n}",
        )
        for n, (name, order, revenue, minutes, currency) in enumerate(story)
    ]  # fmt: skip


@given(story=Said, chance=st.randoms(use_true_random=False))
def test_a_batch_folds_the_same_in_any_order(story: list[Any], chance: random.Random) -> None:
    events = said(story, "shop")
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert [order.row() for order in fold(shuffled)] == [order.row() for order in fold(events)]


async def test_the_database_merges_as_the_fold_does(begun: WriteSession) -> None:
    """Many histories at once: event by event through the upsert, and folded in one go."""
    chance = random.Random(11)
    expected = {}
    for number in range(150):
        names = ["Order Completed", "Order Updated", "Order Refunded", "Order Cancelled"]
        story = [
            (
                chance.choice(names),
                "a",
                chance.choice([None, 5, 7, "9.99"]),
                chance.randrange(3),
                chance.choice(["USD", None]),
            )
            for _ in range(6)
        ]
        events = said(story, f"s{number}")
        expected[f"s{number}"] = fold(events)[0].row()
        chance.shuffle(events)
        for event in events:
            await told.write(begun, fold([event]))
    rows = await begun.execute(text(f"SELECT {', '.join(COLUMNS)} FROM purchase"))
    assert {row.source: tuple(row) for row in rows} == expected


async def test_two_writers_of_the_same_orders_neither_block_each_other_for_ever_nor_lose_anything(
    committed: Database,
) -> None:
    """A till and a web shop speak of the same orders in two partitions, in opposite order."""
    ids = [f"A{n}" for n in range(300)]

    async def write(events: list[ResolvedEvent]) -> None:
        async with committed.write() as session:
            await session.execute(text("SELECT 1"))
            await told.record(session, events)

    bought = [tracked("Order Completed", {"order_id": order, "revenue": 10}) for order in ids]
    returned = [tracked("Order Refunded", {"order_id": order, "total": 4}) for order in reversed(ids)]
    await asyncio.wait_for(asyncio.gather(*(write(events) for events in (bought, returned, bought[::-1]))), 20)
    async with committed.read() as session:
        row = await session.execute(text(f"SELECT count(*), sum(amount), sum({REFUNDED}) FROM purchase"))
        assert tuple(row.one()) == (300, 3000, 1200)


async def test_refunds_never_exceed_the_order_and_a_cancelled_order_is_none(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(
        *(
            tracked("Order Completed", {"order_id": order, "revenue": 50}, via=via)
            for order in ("full", "part", "gone")
        ),
        tracked("Order Refunded", {"order_id": "full"}, via=via),
        tracked("Order Refunded", {"order_id": "part", "total": 30}, via=via),
        tracked("Order Refunded", {"order_id": "part", "total": 30}, via=uuid7()),
        tracked("Order Cancelled", {"order_id": "gone"}, via=via),
        tracked("Order Refunded", {"order_id": "unknown", "total": 5}, via=via),
        tracked("Order Refunded", {"total": 5}, via=via),
    )
    shown = await orders(get, via)
    assert (shown["count"], shown["gmv"], shown["refunded"]) == (2, "100.00", "100.00")


async def test_the_identifier_of_the_first_completion_owns_the_order(hear: Hear, get: Show) -> None:
    web, till = uuid7(), uuid7()
    await hear(tracked("Order Refunded", {"order_id": "A1", "total": 1}, via=till, at=at(9)))
    assert (await orders(get, till))["count"] == 0
    await hear(tracked("Order Completed", {"order_id": "A1", "revenue": 5}, via=till, at=at(4)))
    assert (await orders(get, till))["count"] == 1
    await hear(tracked("Order Completed", {"order_id": "A1", "revenue": 6}, via=web, at=at(2)))
    assert ((await orders(get, till))["count"], (await orders(get, web))["gmv"]) == (0, "6.00")


async def test_orders_without_an_id_are_orders_of_their_own(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(*(tracked("Order Completed", {"revenue": 4}, via=via) for _ in range(3)), identified({}, via=via))
    assert (await orders(get, via))["count"] == 3


async def test_months_are_calendar_months_of_the_zone(hear: Hear, get: Show) -> None:
    borders = ["2026-01-01T04:59:59+00:00", "2026-01-01T05:00:00+00:00", "2026-03-31T15:59:59.999+00:00",
               "2026-03-31T16:00:00+00:00"]  # fmt: skip
    await hear(
        *(
            tracked("Order Completed", {"order_id": n, "revenue": "10.10"}, at=datetime.fromisoformat(border))
            for n, border in enumerate(borders)
        )
    )
    found = {}
    for zone in ("America/New_York", "Asia/Shanghai", None):
        summary = await get("/v1/orders/summary", **({"timezone": zone} if zone else {}))
        assert (summary["orders"], summary["gmv"], summary["aov"]) == (4, "40.40", "10.10")
        found[summary["timezone"]] = [(row["month"], row["orders"], row["gmv"]) for row in summary["months"]]
    assert found == {
        "America/New_York": [("2025-12", 1, "10.10"), ("2026-01", 1, "10.10"), ("2026-03", 2, "20.20")],
        "Asia/Shanghai": [("2026-01", 2, "20.20"), ("2026-03", 1, "10.10"), ("2026-04", 1, "10.10")],
        "UTC": [("2026-01", 2, "20.20"), ("2026-03", 2, "20.20")],
    }


async def test_currencies_are_never_added_up(hear: Hear, get: Show) -> None:
    via = uuid7()
    prices = [("eur", "5.00"), ("EUR", "6.00"), (None, "7.00"), ("CNY", "8.00")]
    await hear(
        *(
            tracked("Order Completed", {"order_id": n, "revenue": price, "currency": currency}, via=via)
            for n, (currency, price) in enumerate(prices)
        )
    )
    for shown in (await orders(get, via), await get("/v1/orders/summary")):
        assert (shown["currency"], shown["gmv"]) == ("USD", "7.00")
        assert [(other["currency"], other["gmv"]) for other in shown["other_currencies"]] == [
            ("EUR", "11.00"),
            ("CNY", "8.00"),
        ]


async def test_nothing_ordered(hear: Hear, get: Show) -> None:
    summary = await get("/v1/orders/summary")
    assert (summary["orders"], summary["gmv"], summary["aov"], summary["months"]) == (0, "0.00", None, [])


def test_averages_round_half_even_and_the_most_frequent_currency_stands_in() -> None:
    assert [money(Decimal(text)) for text in ("0.125", "0.135", "2")] == ["0.12", "0.14", "2.00"]
    few, many = (Sum(code, n, Decimal(n), Decimal(0), None) for code, n in (("EUR", 1), ("CNY", 2)))
    assert headline([few, many, few], "USD")[0].currency == "CNY"
