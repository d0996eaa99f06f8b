"""Sums of money, never across currencies."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from perennial.common.db import ReadSession
from perennial.profile.orders import queries
from perennial.profile.orders.schemas import Month, OrdersSummary, Sales

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Sum:
    """Orders of one currency."""

    currency: str
    orders: int
    gmv: Decimal
    refunded: Decimal
    last_order_at: datetime | None

    def sales(self) -> Sales:
        """As it is shown."""
        return Sales(
            orders=self.orders,
            gmv=money(self.gmv),
            refunded=money(self.refunded),
            aov=money(self.gmv / self.orders) if self.orders else None,
            currency=self.currency,
        )

    def plus(self, other: "Sum") -> "Sum":
        """Both together."""
        last = max((at for at in (self.last_order_at, other.last_order_at) if at is not None), default=None)
        return Sum(
            self.currency, self.orders + other.orders, self.gmv + other.gmv, self.refunded + other.refunded, last
        )


def money(amount: Decimal) -> str:
    """An amount as it travels in JSON."""
    return str(amount.quantize(CENT, ROUND_HALF_EVEN))


def headline(sums: Iterable[Sum], currency: str) -> tuple[Sum, list[Sum]]:
    """The sum to show first, and the others: the deployment's currency, else the one that most orders bear."""
    found: dict[str, Sum] = {}
    for item in sums:
        found[item.currency] = found[item.currency].plus(item) if item.currency in found else item
    if not found:
        return Sum(currency, 0, Decimal(0), Decimal(0), None), []
    first, *others = sorted(found.values(), key=lambda item: (item.currency != currency, -item.orders, item.currency))
    return first, others


async def by_month(session: ReadSession, zone: str, currency: str) -> OrdersSummary:
    """All orders; `currency` is the deployment's."""
    rows = await queries.months(session, zone, currency)
    total, others = headline(
        (Sum(row.currency, row.orders, row.gmv, row.refunded, row.last_order_at) for row in rows), currency
    )
    return OrdersSummary(
        **total.sales().model_dump(),
        timezone=zone,
        months=[
            Month(month=f"{row.month:%Y-%m}", orders=row.orders, gmv=money(row.gmv))
            for row in rows
            if row.currency == total.currency
        ],
        other_currencies=[other.sales() for other in others],
    )
