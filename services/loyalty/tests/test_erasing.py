"""A person is forgotten: the books stay and balance, and nothing in them tells of whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.contracts.loyalty import ErasureCompleted
from perennial.common.ids import uuid7
from perennial.common.privacy import worker
from perennial.loyalty.points import service
from perennial.loyalty.points.posting import Posting


async def test_the_books_stay_without_the_person_and_expiry_goes_on(shop: Any) -> None:
    at = utc_now() - timedelta(days=30)
    await shop.programme(datetime(2020, 1, 1, tzinfo=UTC), expiry_months=1)
    via, stranger = uuid7(), uuid7()
    await shop.order(via, 600, at=at)
    await shop.order(stranger, 7, at=at)
    await service.spend(shop.session, Posting(uuid7(), "spend", via, utc_now(), "a gift for Ada Lovelace", -100))
    await shop.derive()
    await shop.say(CustomerErased(erasure_id=uuid7(), customer=via, vias=[via], at=utc_now()))
    await worker.run_all(shop.runtime)
    await shop.prove()
    reasons = set((await shop.session.execute(text("SELECT reason FROM posting WHERE via = :v"), {"v": via})).scalars())
    assert reasons == {"order", "erased"}
    tiers = await shop.session.execute(text("SELECT customer_id FROM tier_state"))
    assert set(tiers.scalars()) == {stranger}
    (receipt,) = await shop.said(ErasureCompleted)
    tables = {row["table"]: row for row in receipt["tables"]}
    assert (tables["posting"]["erased"], tables["posting"]["kept"]) == (1, 2)
    assert tables["tier_state"]["erased"] == 1
    assert {name for name, row in tables.items() if row["kept"]} >= {"posting", "account", "lot"}

    await shop.order(via, 50)
    assert await shop.balance(stranger) == 7
    left = "SELECT balance FROM account WHERE via = :v"
    assert (await shop.session.execute(text(left), {"v": via})).scalar_one() == 500, "an order in flight earns nothing"
    while await service.expire_due(shop.session, utc_now() + timedelta(days=90)):
        pass
    assert (await shop.session.execute(text(left), {"v": via})).scalar_one() == 0, "in the end they are breakage"
