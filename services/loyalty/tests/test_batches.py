"""Batches are written by columns, and plain orders take a shorter way: both must say what the long way would."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.commerce import ORDER_COMPLETED
from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import PointsEarned
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.loyalty.earning.choosing import by_currency
from perennial.loyalty.earning.facts import Facts
from perennial.loyalty.points.posting import Lot, issue
from perennial.loyalty.points.writing import post
from perennial.loyalty.programme.definition import Currency, EarnRule, Programme, TierRule
from perennial.loyalty.programme.earning import Earner

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
ODD = (
    "plain", "a'b", 'say "hi"', "back\\slash", "\\N", "NULL", "null", "{}", "{a,b}", ",", " spaced ", "茶叶/订单",
    "tab\there", "line\nbreak", "%s", "$1", "\x7f", "👍", '\\\\"', "[]", "--", ";",
)  # fmt: skip

rules: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    points_per_unit=st.decimals(min_value="0.01", max_value=1000, places=2),
    per=st.sampled_from(["unit", "event"]),
    rounding=st.sampled_from(["floor", "half_up", "ceiling"]),
    currency=st.sampled_from([None, "points", "growth"]),
)
amounts = st.none() | st.decimals(min_value=-(10**6), max_value=10**11, places=2)


@given(st.lists(rules, max_size=4), amounts)
def test_a_plain_rule_gives_by_the_amount_what_its_verdict_says(made: list[dict[str, Any]], amount: Decimal) -> None:
    earner = Earner(
        Programme(
            version=2,
            valid_from=LONG_AGO,
            currencies=[Currency(), Currency(code="growth", kind="growth")],
            earn_rules=[EarnRule(name=str(number), **said) for number, said in enumerate(made)],
            tiers=[TierRule(name="member", threshold=0)],
        )
    )
    assert earner.plain(ORDER_COMPLETED)
    facts = Facts(uuid7(), LONG_AGO, "shop", {}, amount, UTC, first_order=True)
    asked = earner.by_event.get(ORDER_COMPLETED)
    said = by_currency(earner.choose(asked.verdicts(facts)), "points") if asked else {}
    assert earner.by_amount(ORDER_COMPLETED, amount) == said


async def test_a_batch_of_odd_names_earns_each_once(shop: Any) -> None:
    vias = [uuid7() for _ in ODD]
    batch = [
        tracked("Order Completed", {"order_id": name, "revenue": 10 + number}, via=via, source=f"shop {name}")
        for number, (name, via) in enumerate(zip(ODD, vias, strict=True))
    ]
    await shop.say(*batch)
    await shop.say(*batch, tracked("Order Completed", {"order_id": "new", "revenue": 5}, via=vias[0]))
    assert [await shop.balance(via) for via in vias] == [15, *range(11, 10 + len(ODD))]
    kept = set((await shop.session.execute(text("SELECT order_id FROM purchase"))).scalars())
    assert kept == {name.strip() for name in ODD} | {"new"}
    facts = await shop.said(PointsEarned)
    assert [fact["reference"] for fact in facts].count("{a,b}") == 1
    assert {fact["reference"] for fact in facts} == kept


async def test_what_the_rules_saw_is_kept_as_it_was_said(shop: Any) -> None:
    """Through the update by a refund as well, which reads it and writes it again."""
    await shop.programme(LONG_AGO, earn_rules=[{"name": "by note", "condition": {"trait": "note", "exists": True}}])
    notes = ['"', "\\", "\\u0041", "茶\n", 1e22, -0.5, True, ["a", {"b": '\\"'}], {"c": "{}"}]
    via = uuid7()
    await shop.say(*(
        tracked("Order Completed", {"order_id": str(number), "revenue": 10, "note": note}, via=via)
        for number, note in enumerate(notes)
    ))  # fmt: skip
    told = text("SELECT completed_told -> 'properties' -> 'note' FROM purchase ORDER BY order_id")
    before = list((await shop.session.execute(told)).scalars())
    assert before == notes
    await shop.say(*(
        tracked("Order Refunded", {"order_id": str(number), "revenue": 5}, via=via) for number in range(len(notes))
    ))  # fmt: skip
    assert list((await shop.session.execute(told)).scalars()) == before
    assert await shop.balance(via) == 5 * len(notes)


async def test_an_order_of_nothing_and_one_of_much_in_one_batch(shop: Any) -> None:
    """Columns that say nothing throughout, in part, and not at all."""
    now, vias = utc_now(), [uuid7() for _ in range(3)]
    await shop.programme(LONG_AGO, pending_days=3, expiry_months=1)
    await shop.say(
        tracked("Order Completed", {"order_id": "nothing"}, via=vias[0], at=now),
        tracked("Order Completed", {"order_id": "much", "revenue": 10**9}, via=vias[1], at=now - timedelta(days=5)),
        tracked("Order Completed", {"order_id": "waits", "revenue": 7}, via=vias[2], at=now),
        tracked("Order Updated", {"order_id": "unheard", "revenue": 7}, via=vias[2], at=now),
    )
    found = [await shop.account(via) for via in vias[1:]]
    assert [(item.balance, item.pending) for item in found] == [(10**9, 0), (0, 7)]
    assert await shop.balance(vias[0]) == 0


async def test_a_lot_comes_with_its_posting(shop: Any) -> None:
    now = utc_now()
    lot, other = (Lot(uuid7(), uuid7(), 5, now, now) for _ in range(2))
    with pytest.raises(ValueError, match="its id"):
        await post(shop.session, [issue(lot, "earn", "order", None)], [other])
