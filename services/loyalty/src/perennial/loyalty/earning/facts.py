"""What earn rules are asked about: one event, and what is known of its customer when it is counted."""

import calendar
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

from perennial.common import commerce, rules

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LINE = frozenset({"product_id", "sku", "name", "category", "brand", "price", "quantity"})
MOST_LINES = 500
ONE = Decimal(1)
EXACT = Context(prec=120)  # no sum or product of ours is that long
FINEST = Decimal("1e-6")


@dataclass(frozen=True, slots=True)
class Facts:
    """One event as rules see it. `amount` is in the event's currency, `birthday` a month and day (`05-17`)."""

    via: UUID
    at: datetime
    source: str
    properties: Mapping[str, Any]
    amount: Decimal | None
    zone: tzinfo
    tier: str | None = None
    first_order: bool = False
    birthday: str | None = None

    @property
    def local(self) -> datetime:
        """When it happened, in the programme's time zone."""
        return self.at.astimezone(self.zone)

    @property
    def day(self) -> date:
        """The day in the programme's time zone."""
        return self.local.date()

    def view(self) -> rules.View:
        """The event's properties as traits, and what is known besides under names with a dollar sign."""
        local = self.local
        away = _days_away(self.birthday, local.date())
        known = {
            "$amount": self.amount,
            "$source": self.source,
            "$tier": self.tier,
            "$day": local.date().isoformat(),
            "$weekday": WEEKDAYS[local.weekday()],
            "$hour": local.hour,
            "$birthday": None if away is None else away == 0,
            "$birthday_month": None if self.birthday is None else int(self.birthday[:2]) == local.month,
            "$birthday_days": away,
        }
        return self.about(self.properties, known)

    def about(self, members: Mapping[str, Any], known: Mapping[str, Any]) -> rules.View:
        """What conditions read; windows of the calendar are those of the programme, whatever zone the event names."""
        said = {rules.trait_key(key): value for key, value in members.items()}
        return rules.View(self.via, {**said, **known, "timezone": str(self.zone)})


def _days_away(birthday: str | None, today: date) -> int | None:
    """To the nearest birthday, past or coming; who was born on the 29th of February has it on the 28th else."""
    if birthday is None:
        return None
    month, day = int(birthday[:2]), int(birthday[3:])
    years = range(max(today.year - 1, 1), min(today.year + 1, 9999) + 1)
    return min(
        abs((date(year, month, min(day, calendar.monthrange(year, month)[1])) - today).days) for year in years
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Product:
    """One line of an order or cart; what it says of itself is in `members`."""

    price: Decimal
    quantity: Decimal
    members: Mapping[str, Any]

    @property
    def worth(self) -> Decimal:
        """Price by quantity."""
        return EXACT.multiply(self.price, self.quantity)


def products(properties: Mapping[str, Any]) -> list[Product]:
    """The lines that an event names; a price that is none is 0, a quantity that is none is 1."""
    lines = properties.get("products")
    if not isinstance(lines, list):
        return []
    return [
        Product(_number(line.get("price"), Decimal(0)), _number(line.get("quantity"), ONE), line)
        for line in lines
        if isinstance(line, Mapping)
    ]


def _number(value: Any, default: Decimal) -> Decimal:
    found = commerce.decimal(value)
    return default if found is None else found.quantize(FINEST, context=EXACT)


def kept(facts: Facts, traits: AbstractSet[str], members: AbstractSet[str]) -> dict[str, Any]:
    """What rules read of an event, as JSON, so that they can be asked again: `traits` of it, `members` of its lines."""
    said = {key: value for key, value in facts.properties.items() if rules.trait_key(key) in traits}
    lines = facts.properties.get("products")
    if isinstance(lines, list) and (members or "products" in traits):
        said["products"] = _lines(lines, members | LINE)
    return {
        "amount": None if facts.amount is None else str(facts.amount),
        "tier": facts.tier,
        "first_order": facts.first_order,
        "birthday": facts.birthday,
        "properties": said,
    }


def _lines(lines: Sequence[Any], members: AbstractSet[str]) -> list[Any]:
    return [
        {key: value for key, value in line.items() if rules.trait_key(key) in members}
        for line in lines[:MOST_LINES]
        if isinstance(line, Mapping)
    ]


def restored(said: Mapping[str, Any], via: UUID, at: datetime, source: str, zone: tzinfo) -> Facts:
    """Facts as `kept` has kept them."""
    amount = said.get("amount")
    return Facts(
        via, at, source, said.get("properties") or {}, None if amount is None else Decimal(amount), zone,
        said.get("tier"), bool(said.get("first_order")), said.get("birthday"),
    )  # fmt: skip
