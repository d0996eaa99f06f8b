"""Anna has a code, and friends who come by it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.ids import uuid7
from perennial.common.testing.events import tracked
from perennial.common.timers import Timer
from perennial.loyalty.referrals import service

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
RULES: dict[str, Any] = {
    "link": "https://shop.example/r/{code}",
    "minimum": 50,
    "hold_days": 14,
    "referrer": {"points": 500},
    "friend": {"points": 200},
    "velocity": {"count": 2, "days": 7},
}


def ago(days: float) -> datetime:
    return utc_now() - timedelta(days=days)


class Friends:
    """Anna has a code; friends come by it."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.anna = uuid7()
        self.code = ""

    async def person(self) -> UUID:
        via = uuid7()
        await self.shop.assign(via, via)
        return via

    async def rules(self, **changes: Any) -> None:
        await self.shop.programme(BEGINNING, earn_rules=[], referral={**RULES, **changes})

    async def code_of(self, via: UUID) -> str:
        return await service.code_for(self.shop.session, via)

    async def click(
        self, via: UUID, days: float, code: str = "", name: str = "Referral Clicked", **context: Any
    ) -> None:
        field = "code" if name == "Referral Clicked" else "referral_code"
        said = {field: code or self.code, **context}
        await self.shop.say(tracked(name, said, via=via, at=ago(days)))

    async def buy(self, via: UUID, days: float, revenue: Any = 100, order_id: str = "", **said: Any) -> str:
        return str(await self.shop.order(via, revenue, order_id, at=ago(days), properties=said))

    async def mature(self, **more: Any) -> None:
        """The timers whose time has come fire, as they do behind the pipeline."""
        await self.shop.derive()
        rows = await self.shop.session.execute(
            text("DELETE FROM timer WHERE kind = 'referral' AND due_at <= :now RETURNING *"), {"now": utc_now()}
        )
        due = [Timer(row.kind, row.key, row.due_at, row.payload, row.partition) for row in rows]
        await service.mature(self.shop.session, due)
        await self.shop.derive()

    async def states(self) -> list[tuple[str, list[str]]]:
        await self.shop.derive()
        rows = await self.shop.session.execute(text("SELECT state, reasons FROM referral ORDER BY qualified_at, id"))
        return [(row.state, list(row.reasons)) for row in rows]

    async def balances(self, *vias: UUID) -> list[int]:
        return [await self.shop.balance(via) for via in vias]


@pytest.fixture
def rules() -> dict[str, Any]:
    return dict(RULES)


@pytest.fixture
async def friends(shop: Any) -> Friends:
    made = Friends(shop)
    await made.rules()
    await shop.assign(made.anna, made.anna)
    made.code = await made.code_of(made.anna)
    return made
