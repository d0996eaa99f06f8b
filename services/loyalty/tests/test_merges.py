"""Facts never move: a merge and its undo change the map alone, and points are conserved."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import TiersChanged
from perennial.common.ids import uuid7
from perennial.common.problems import Conflict
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting


async def _spend(shop: Any, via: UUID, points: int) -> UUID:
    posting = Posting(uuid7(), "spend", via, utc_now(), "coat", -points)
    async with shop.session.begin_nested():
        await service.spend(shop.session, posting)
    return posting.id


async def _uses(shop: Any, posting: UUID) -> dict[UUID, int]:
    """By the identifier that earned what was used."""
    rows = await shop.session.execute(
        text("""SELECT l.via, sum(u.points) AS points FROM lot_use u JOIN lot l ON l.id = u.lot_id
                WHERE u.posting_id = :id GROUP BY l.via"""),
        {"id": posting},
    )
    return {row.via: row.points for row in rows}


async def test_a_merge_adds_up_and_its_undo_takes_apart(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 100)
    await shop.order(phone, 60)
    await shop.assign(anna, phone)
    assert await shop.balance(anna) == 160
    assert (await shop.account(phone)).customer_id == anna  # the old id answers with the survivor
    await shop.assign(phone, phone)
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, 60)


async def test_a_side_that_spent_the_others_points_owes_them_openly(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 100)
    await shop.order(phone, 60)
    await shop.assign(anna, phone)
    with pytest.raises(Conflict):
        await _spend(shop, phone, 161)
    spent = await _spend(shop, phone, 150)
    await shop.derive()
    assert sum((await _uses(shop, spent)).values()) == 150
    await shop.assign(phone, phone)
    await shop.derive()
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, -90)
    assert await _uses(shop, spent) == {phone: 60}
    await shop.order(phone, 100)
    await shop.derive()
    assert await shop.balance(phone) == 10
    assert await _uses(shop, spent) == {phone: 150}


async def test_a_side_that_covered_its_own_spending_looks_as_if_never_merged(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    old = utc_now() - timedelta(days=30)
    await shop.order(anna, 100, at=old)
    await shop.order(phone, 60, at=old + timedelta(days=1))
    await shop.assign(anna, phone)
    spent = await _spend(shop, phone, 50)
    await shop.derive()
    assert await _uses(shop, spent) == {anna: 50}  # the older points, whoever earned them
    await shop.assign(phone, phone)
    await shop.derive()
    assert await _uses(shop, spent) == {phone: 50}
    assert (await shop.balance(anna), await shop.balance(phone)) == (100, 10)
    await shop.assign(anna, phone)
    await shop.derive()
    assert await _uses(shop, spent) == {anna: 50}


async def test_the_gone_customer_has_no_tier_and_comes_back_with_one(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.order(anna, 300)
    await shop.order(phone, 300)
    await shop.derive()
    assert (await shop.account(anna)).tier.name == "member"
    await shop.assign(anna, phone)
    await shop.derive()
    tiers = await shop.session.execute(text("SELECT customer_id, tier FROM tier_state"))
    assert [tuple(row) for row in tiers] == [(anna, "silver")]
    await shop.assign(phone, phone)
    await shop.derive()
    assert {(await shop.account(who)).tier.name for who in (anna, phone)} == {"member"}
    told = [tier for fact in await shop.said(TiersChanged) for tier in fact["tiers"] if tier["customer"] == str(phone)]
    assert [tier["tier"] for tier in told] == ["member", "member"]
    assert told[0]["version"] < told[1]["version"]
