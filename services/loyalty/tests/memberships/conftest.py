"""A shop that sells memberships."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.common.testing.events import tracked

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
PLUS: dict[str, Any] = {
    "code": "plus",
    "name": {"en": "Plus", "zh": "尊享"},
    "skus": ["PLUS-M"],
    "price": "30.00",
    "currency": "USD",
    "period": "P1M",
    "trial": "P7D",
    "grace_days": 3,
    "benefits": [{"code": "less", "kind": "discount", "percent": 10}, {"code": "post", "kind": "free_shipping"}],
    "shipping_worth": "4.50",
}


class Club:
    """Says what payments would, and reads what came of it."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop

    async def plans(self, *plans: dict[str, Any], since: datetime = BEGINNING) -> None:
        await self.shop.programme(since, plans=list(plans))

    async def tell(self, verb: str, via: UUID, at: datetime, **said: Any) -> None:
        """`Membership <verb>` of the plan plus; derived at once."""
        more = {name: said.pop(name) for name in ("live", "message_id") if name in said}
        await self.shop.say(tracked(f"Membership {verb}", {"plan": "plus", **said}, via=via, at=at, **more))

    async def pay(self, via: UUID, at: datetime, payment: str = "", **said: Any) -> None:
        await self.tell("Purchased", via, at, payment_id=payment or uuid4().hex, **said)

    async def row(self, customer: UUID, plan: str = "plus") -> Any:
        """How it stands by what was derived."""
        await self.shop.derive()
        found = await self.shop.session.execute(
            text("SELECT * FROM membership WHERE customer_id = :id AND plan = :plan"), {"id": customer, "plan": plan}
        )
        return found.one_or_none()


@pytest.fixture
def plus() -> dict[str, Any]:
    return dict(PLUS)


@pytest.fixture
async def club(shop: Any) -> Club:
    made = Club(shop)
    await made.plans(PLUS)
    return made
