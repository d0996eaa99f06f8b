"""What members save: the discounts and the shipping of their orders, less the share of what was given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.loyalty.memberships import queries
from perennial.loyalty.memberships.course import Course
from perennial.loyalty.memberships.refunds import EXACT, rounded

NOTHING = Decimal(0)
UNTOLD = Decimal(-1)
"""That nothing was paid for shipping, without a word of what it would have cost."""


@dataclass(frozen=True)
class Saved:
    """What a customer saved in a time, in one money; `paid` is what the memberships cost in it."""

    money: str
    discount: Decimal
    shipping: Decimal
    paid: Decimal


async def of_year(
    session: ReadSession, customer: UUID, courses: Sequence[Course], worth: Mapping[str, Decimal],
    year: tuple[datetime, datetime],
) -> list[Saved]:  # fmt: skip
    """What a customer saved as a member in a calendar year; `worth` is what free shipping is worth by money."""
    sums: dict[str, list[Decimal]] = {}
    for row in await queries.savings(session, customer, *year):
        if not any(course.covers(row.at) for course in courses):
            continue
        kept = _kept(row.amount, row.refunded, whole=row.whole)
        spared = worth.get(row.money, NOTHING) if row.shipping == UNTOLD else row.shipping
        mine = sums.setdefault(row.money, [NOTHING, NOTHING, NOTHING])
        mine[0] += rounded(EXACT.multiply(row.discount, kept), row.money)
        mine[1] += rounded(EXACT.multiply(spared, kept), row.money)
    for course in courses:
        for paid in course.payments.values():
            if year[0] <= paid.start < year[1]:
                sums.setdefault(paid.money, [NOTHING, NOTHING, NOTHING])[2] += paid.amount - paid.refunded
    return [Saved(money, *sums[money]) for money in sorted(sums)]


def _kept(amount: Decimal, refunded: Decimal, *, whole: bool) -> Decimal:
    """The share of an order that was not given back."""
    if whole or (refunded and refunded >= amount):
        return NOTHING
    return EXACT.divide(amount - refunded, amount) if refunded else Decimal(1)


def calendar_year(now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first instant of the year around `now` in the zone, and that of the next."""
    local = now.astimezone(zone)
    first = local.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return first.astimezone(now.tzinfo), first.replace(year=local.year + 1).astimezone(now.tzinfo)
