"""Orders earn once, whatever the message ids and whatever comes first."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.contracts.loyalty import AccountsChanged, PointsEarned, PointsReversed
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("properties", "points"),
    [
        ({"revenue": "19.99"}, 19),
        ({"total": 30, "shipping": 4.5, "tax": "0.51"}, 24),
        ({"products": [{"price": 10.25, "quantity": 2}, {"price": 5}], "discount": 0.5}, 25),
        ({"revenue": 0.99}, 0),
        ({"revenue": -5}, 0),
        ({}, 0),
    ],
)
async def test_a_point_for_each_whole_unit_of_the_amount(shop: Any, properties: dict[str, Any], points: int) -> None:
    via = uuid7()
    await shop.say(tracked("Order Completed", {"order_id": "1", **properties}, via=via))
    assert await shop.balance(via) == points


async def test_an_order_counts_once_whatever_the_message_ids(shop: Any) -> None:
    via, other = uuid7(), uuid7()
    await shop.order(via, 120, "A")
    await shop.order(via, 120, "A")
    await shop.order(other, 120, "A", message_id="from another device")
    await shop.order(via, 70, "A", source="another shop")
    assert await shop.balance(via) == 190
    assert await shop.balance(other) == 0


async def test_repeats_inside_one_batch_count_once(shop: Any) -> None:
    via = uuid7()
    await shop.say(*[tracked("Order Completed", {"order_id": "A", "revenue": 50}, via=via) for _ in range(3)])
    assert (await shop.account(via)).earned == 50
    assert [fact["points"] for fact in await shop.said(PointsEarned)] == [50]


async def test_orders_without_an_id_are_orders_of_their_own(shop: Any) -> None:
    via = uuid7()
    await shop.say(
        tracked("Order Completed", {"revenue": 5}, via=via), tracked("Order Completed", {"revenue": 6}, via=via)
    )
    await shop.say(tracked("Order Refunded", {}, via=via))
    assert await shop.balance(via) == 11


@pytest.mark.parametrize(
    ("refund", "left"),
    [
        ({}, 0),
        ({"revenue": 30}, 70),
        ({"total": "-30.00"}, 70),
        ({"products": [{"price": 12.5, "quantity": 2}]}, 75),
        ({"revenue": 33.33}, 67),
        ({"revenue": 5000}, 0),
        ({"revenue": 0}, 100),
    ],
)
async def test_a_refund_takes_its_share(shop: Any, refund: dict[str, Any], left: int) -> None:
    via = uuid7()
    order = await shop.order(via, 100)
    await shop.refund(order, via=uuid7(), properties=refund)
    account = await shop.account(via)
    assert (account.balance, account.earned, account.reversed) == (left, 100, 100 - left)


async def test_small_refunds_add_up_to_the_whole_and_never_beyond(shop: Any) -> None:
    via = uuid7()
    order = await shop.order(via, "10.99")
    for _ in range(3):
        await shop.refund(order, via=via, properties={"revenue": "3.67"})
    assert await shop.balance(via) == 0
    await shop.refund(order, "Order Cancelled", via=via, properties={"revenue": "10.99"})
    await shop.refund(order, via=via)
    assert (await shop.account(via)).reversed == 10


async def test_a_refund_with_an_id_of_its_own_counts_once(shop: Any) -> None:
    via = uuid7()
    order = await shop.order(via, 100)
    for _ in range(2):
        await shop.refund(order, via=via, properties={"revenue": 10, "refund_id": "R1"})
    assert await shop.balance(via) == 90


def _history(order: str) -> list[ResolvedEvent]:
    via = uuid7()
    return [
        tracked("Order Completed", {"order_id": order, "revenue": 100}, via=via, at=NOW),
        tracked("Order Updated", {"order_id": order, "revenue": 80}, via=via, at=NOW + timedelta(hours=1)),
        tracked("Order Refunded", {"order_id": order, "revenue": 20}, via=via, at=NOW + timedelta(hours=2)),
        tracked("Order Completed", {"order_id": order, "revenue": 300}, via=via, at=NOW + timedelta(hours=3)),
    ]


async def test_every_sequence_of_arrival_leaves_the_same(shop: Any) -> None:
    for number, sequence in enumerate(permutations(range(4))):
        events = _history(f"order {number}")
        for index in sequence:
            await shop.say(events[index])
        assert await shop.balance(events[0].via) == 60, sequence


async def test_every_cut_into_batches_leaves_the_same(shop: Any) -> None:
    for cut in range(5):
        events = _history(f"order {cut}")
        events.reverse()
        for batch in (events[:cut], events[cut:]):
            if batch:
                await shop.say(*batch)
        assert await shop.balance(events[0].via) == 60, cut


async def test_a_refund_before_the_order_leaves_nothing(shop: Any) -> None:
    via = uuid7()
    await shop.refund("A", via=uuid7(), at=NOW)
    await shop.order(via, 100, "A", at=NOW - timedelta(days=1))
    account = await shop.account(via)
    assert (account.balance, account.earned, account.reversed) == (0, 100, 100)


@pytest.mark.parametrize("days", [-3, 3])
async def test_a_refund_finds_the_lots_of_an_order_whose_completion_was_told_again(shop: Any, days: int) -> None:
    via, other = uuid7(), uuid7()
    await shop.assign(via, via, other)
    await shop.order(via, 100, "A", at=NOW)
    await shop.order(other, 100, "A", at=NOW + timedelta(days=days, microseconds=1))
    await shop.order(via, 7, "B", at=NOW)
    await shop.refund("A", via=other)
    assert await shop.balance(via) == 7
    lots = await shop.session.execute(text("SELECT points, reversed FROM lot ORDER BY points"))
    assert [tuple(row) for row in lots] == [(7, 0), (100, 100)]


async def test_a_refund_of_spent_points_goes_below_zero(shop: Any, client: Any) -> None:
    via = uuid7()
    order = await shop.order(via, 100)
    spent = await client.post(
        f"/v1/loyalty/accounts/{via}/spend", json={"points": 80, "reason": "mug"}, headers={"Idempotency-Key": "1"}
    )
    assert spent.status_code == 201, spent.text
    await shop.refund(order, via=via)
    assert await shop.balance(via) == -80
    await shop.order(via, 30)
    assert await shop.balance(via) == -50


async def test_only_live_events_are_told_as_occurrences(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 10, "old", live=False)
    await shop.refund("old", via=via, live=False)
    assert await shop.said(PointsEarned) == []
    assert await shop.said(PointsReversed) == []
    await shop.order(via, 20, "new")
    await shop.refund("new", via=via)
    assert [(fact["points"], fact["reference"]) for fact in await shop.said(PointsEarned)] == [(20, "new")]
    assert [(fact["points"], fact["reference"]) for fact in await shop.said(PointsReversed)] == [(20, "new")]


async def test_a_live_refund_does_not_make_an_imported_order_live(shop: Any) -> None:
    via = uuid7()
    await shop.say(
        tracked("Order Completed", {"order_id": "A", "revenue": 10}, via=via, live=False),
        tracked("Order Refunded", {"order_id": "A"}, via=via),
    )
    assert await shop.said(PointsEarned) == []
    assert [fact["points"] for fact in await shop.said(PointsReversed)] == [10]


async def test_states_are_told_with_rising_versions(shop: Any) -> None:
    first, second = uuid7(), uuid7()
    await shop.say(
        *[tracked("Order Completed", {"order_id": str(via), "revenue": 10}, via=via) for via in (first, second)]
    )
    await shop.order(first, 5)
    told = await shop.said(AccountsChanged)
    assert [len(fact["accounts"]) for fact in told] == [2, 1]
    assert told[1]["accounts"][0] == {
        "via": str(first),
        "balance": 15,
        "pending": 0,
        "version": 2,
        "currency": "points",
    }


async def test_points_stay_with_the_identifier_that_ordered(shop: Any) -> None:
    phone, mail = uuid7(), uuid7()
    await shop.order(phone, 40, customer=mail)
    vias = await shop.session.execute(text("SELECT via FROM lot"))
    assert vias.scalars().all() == [phone]
    assert await shop.balance(mail) == 40
