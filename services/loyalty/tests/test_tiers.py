"""Tiers: up at once, down when what they rest on leaves the window."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import TierChanged, TiersChanged
from perennial.common.derive import Stale
from perennial.common.ids import partition_of, uuid7
from perennial.common.timers import Timer
from perennial.loyalty.tiers import service


async def _strike(shop: Any, now: datetime) -> int:
    """Fire what is due by then."""
    rows = await shop.session.execute(
        text(
            "DELETE FROM timer WHERE kind = 'tiers' AND due_at <= :now RETURNING kind, key, due_at, payload, partition"
        ),
        {"now": now},
    )
    fired = [Timer(*row) for row in rows]
    await service.review(shop.session, fired)
    return len(fired)


@pytest.mark.parametrize(
    ("earned", "tier", "to_next"),
    [(0, "member", 500), (499, "member", 1), (500, "silver", 1000), (1500, "gold", 2500), (9000, "platinum", None)],
)
async def test_by_what_was_earned_of_late(shop: Any, earned: int, tier: str, to_next: int | None) -> None:
    via = uuid7()
    await shop.order(via, earned)
    await shop.order(via, 5000, at=utc_now() - timedelta(days=366))
    await shop.derive()
    found = (await shop.account(via)).tier
    assert (found.name, found.to_next) == (tier, to_next)


async def test_up_at_once_and_told(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 10)
    await shop.derive()
    assert await shop.said(TierChanged) == []
    await shop.order(via, 1490)
    await shop.derive()
    [told] = await shop.said(TierChanged)
    assert (told["customer"], told["tier"], told["previous"]) == (str(via), "gold", "member")
    states = [fact["tiers"][0] for fact in await shop.said(TiersChanged)]
    assert [state["tier"] for state in states] == ["member", "gold"]
    assert states[0]["version"] < states[1]["version"] == told["version"]


async def test_an_import_only_builds_state(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 2000, live=False)
    await shop.derive()
    assert await shop.said(TierChanged) == []
    assert (await shop.said(TiersChanged))[0]["tiers"][0]["tier"] == "gold"


async def test_spending_and_adjusting_do_not_count(shop: Any, client: Any) -> None:
    via = uuid7()
    await shop.order(via, 600)
    path = f"/v1/loyalty/accounts/{via}"
    await client.post(f"{path}/spend", json={"points": 500, "reason": "x"}, headers={"Idempotency-Key": "1"})
    await client.post(f"{path}/adjust", json={"points": 5000, "reason": "x"}, headers={"Idempotency-Key": "2"})
    await shop.derive()
    assert (await shop.account(via)).tier.name == "silver"


async def test_a_refund_takes_the_tier_with_it(shop: Any) -> None:
    via = uuid7()
    order = await shop.order(via, 600)
    await shop.derive()
    await shop.refund(order, via=via)
    await shop.derive()
    assert (await shop.account(via)).tier.name == "member"


async def test_down_when_the_window_runs_out(shop: Any) -> None:
    via, now = uuid7(), utc_now()
    for days, points in ((360, 900), (200, 400), (100, 300)):
        await shop.order(via, points, at=now - timedelta(days=days))
    await shop.derive()
    row = (await shop.session.execute(text("SELECT tier, points, review_at FROM tier_state"))).one()
    assert (row.tier, row.points) == ("gold", 1600)
    assert row.review_at == now + timedelta(days=5)  # gold rests on the oldest order
    assert await _strike(shop, now + timedelta(days=4)) == 0
    later = now + timedelta(days=5, seconds=1)
    await service.refresh(shop.session, Stale({via: True}, []), later)
    assert (await shop.account(via)).tier.name == "gold"  # until the pipeline has passed
    assert await _strike(shop, later) == 1
    await service.refresh(shop.session, Stale({via: True}, []), later)
    row = (await shop.session.execute(text("SELECT tier, points, review_at FROM tier_state"))).one()
    assert (row.tier, row.points) == ("silver", 700)
    assert row.review_at == now + timedelta(days=165)
    assert [told["tier"] for told in await shop.said(TierChanged)] == ["gold", "silver"]
    later = now + timedelta(days=400)
    for _ in range(2):
        await service.refresh(shop.session, Stale({via: True}, []), later)
        await _strike(shop, later)
    await service.refresh(shop.session, Stale({via: True}, []), later)
    row = (await shop.session.execute(text("SELECT tier, points, review_at FROM tier_state"))).one()
    assert tuple(row) == ("member", 0, None)


async def test_a_timer_waits_for_the_partitions_of_all_identifiers(shop: Any) -> None:
    """Else an order that waits in another partition would come after the tier that it keeps is gone."""
    one = uuid7()
    other = next(via for _ in range(1000) if partition_of(via := uuid7()) != partition_of(one))
    await shop.order(one, 600, at=utc_now() - timedelta(days=300))
    await shop.derive()
    await shop.assign(other, other)
    await shop.assign(one, one, other)
    await shop.derive()
    both = sorted({partition_of(one), partition_of(other)})
    waiting = text("SELECT partition, payload FROM timer WHERE kind = 'tiers'")
    assert [tuple(row) for row in await shop.session.execute(waiting)] == [(both[0], {"then": both[1:]})]
    await shop.session.execute(text("DELETE FROM stale"))
    later = utc_now() + timedelta(days=70)
    await _strike(shop, later)
    assert [tuple(row) for row in await shop.session.execute(waiting)] == [(both[1], {"then": []})]
    assert await shop.session.scalar(text("SELECT count(*) FROM stale")) == 0
    await _strike(shop, later)
    assert await shop.session.scalar(text("SELECT count(*) FROM stale")) == 1


async def test_a_merge_tells_of_no_tier_that_would_be_over(shop: Any) -> None:
    """Together they would have been gold for a while; nobody is told of it now, to be told of its end at once."""
    one, other, now = uuid7(), uuid7(), utc_now()
    await shop.assign(one, one)
    await shop.order(one, 600, at=now - timedelta(days=300))
    await shop.order(other, 1000, at=now - timedelta(days=370))
    await shop.derive()
    await shop.session.execute(text("UPDATE tier_state SET clock = now() - interval '100 days'"))
    await shop.assign(one, other)
    await shop.derive()
    await _strike(shop, now)
    await shop.derive()
    told = [tier["tier"] for fact in await shop.said(TiersChanged) for tier in fact["tiers"]]
    assert sorted(told) == ["member", "silver"]


async def test_since_is_kept_while_the_tier_is(shop: Any) -> None:
    via = uuid7()
    await shop.order(via, 600)
    await shop.derive()
    since = (await shop.account(via)).tier.since
    await shop.order(via, 1)
    await shop.derive()
    assert (await shop.account(via)).tier.since == since


async def test_customers_without_an_account_get_no_tier(shop: Any) -> None:
    anna, phone = uuid7(), uuid7()
    await shop.assign(anna, anna)
    await shop.assign(phone, phone)
    await shop.assign(anna, phone)
    await shop.derive()
    assert (await shop.session.execute(text("SELECT count(*) FROM tier_state"))).scalar_one() == 0
