"""What events say of memberships: orders with a plan's product among them, and events of payments.

`Membership Purchased` and `Membership Renewed` are payments: `plan` (its code) or `sku`, `payment_id` or `order_id`,
`amount`, `currency`, `quantity` (periods); with `trial: true` nothing was paid and a trial begins. `Membership Payment
Failed`, `Membership Cancelled` (`immediate: true`: at once) and `Membership Refunded` (`payment_id`, `amount`,
`refund_id`; without an amount all of it) name the plan likewise.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from perennial.common import commerce, derive, identity_map
from perennial.common.contracts.hot import read_body
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession, settings_of
from perennial.common.ids import digest_uuid
from perennial.loyalty.memberships import service
from perennial.loyalty.memberships.course import ANY, Heard, What
from perennial.loyalty.memberships.definition import LAST_YEAR
from perennial.loyalty.memberships.plans import Plans
from perennial.loyalty.memberships.queries import Saving
from perennial.loyalty.memberships.savings import NOTHING, UNTOLD

KINDS: dict[str, What] = {
    "Membership Purchased": "paid",
    "Membership Renewed": "paid",
    "Membership Payment Failed": "failed",
    "Membership Cancelled": "cancelled",
    "Membership Refunded": "refunded",
}
NAMES = frozenset({*KINDS, *commerce.ORDER_EVENTS})
MOST_PERIODS = 12


async def hear(session: WriteSession, events: list[ResolvedEvent]) -> None:
    """Keep what events say of memberships, and have their customers looked at again."""
    plans = await service.plans_of(session)
    if not plans:
        return
    currency = settings_of(session).currency
    heard = list(read(events, plans, currency))
    others = await service.hear(session, heard, list(read_savings(events, currency)))
    told = {item.id for item in heard}
    mine = [event for event in events if event.id in told]
    await derive.mark_events(session, mine)
    if others:
        owners = await identity_map.customers_of(session, others)
        await derive.mark(session, owners.values(), live=any(event.live for event in mine))


def read(events: Iterable[ResolvedEvent], plans: Plans, currency: str) -> Iterator[Heard]:
    """What events say of memberships; `currency` is meant where they name none."""
    for event in events:
        if event.name in NAMES and event.timestamp.year <= LAST_YEAR:
            said = read_body(event.body).properties or {}
            money = commerce.currency(said, currency)
            if event.name in KINDS:
                yield from _told(event, said, plans, money)
            elif event.name == commerce.ORDER_COMPLETED:
                yield from _bought(event, said, plans, money)
            elif event.name != commerce.ORDER_UPDATED:
                yield from _given_back(event, said, plans, money)


def _told(event: ResolvedEvent, said: Mapping[str, Any], plans: Plans, money: str) -> Iterator[Heard]:
    kind = KINDS[event.name or ""]
    plan = _text(said, "plan")
    if plan not in plans.codes:
        plan = plans.by_sku(_skus(said), event.timestamp) or ""
    if not plan:
        return
    if kind == "paid" and said.get("trial") is True:
        kind = "trial"
    amount = _amount(said, "amount", "revenue", "total", "price")
    payment = _text(said, "payment_id") or _order(said)
    if kind == "paid" and not payment:
        payment = f"message:{event.message_id}"[:255]
    yield Heard(
        event.id, plan, event.via, event.timestamp, kind, event.source, payment, money, amount,
        quantity=_periods(said.get("quantity")), immediate=said.get("immediate") is True,
        refund=_text(said, "refund_id"),
    )  # fmt: skip


def _bought(event: ResolvedEvent, said: Mapping[str, Any], plans: Plans, money: str) -> Iterator[Heard]:
    """One payment for each plan among the lines of an order."""
    order = _order(said) or f"message:{event.message_id}"[:255]
    lines: dict[str, tuple[Decimal | None, int]] = {}
    for line in _lines(said):
        plan = plans.by_sku(_skus(line), event.timestamp)
        if plan:
            periods, (before, so_far) = _periods(line.get("quantity")), lines.get(plan, (Decimal(0), 0))
            price = _amount(line, "price")
            amount = None if price is None or before is None else before + price * periods
            lines[plan] = amount, min(MOST_PERIODS, so_far + periods)
    for plan, (amount, periods) in lines.items():
        yield Heard(
            event.id, plan, event.via, event.timestamp, "paid", event.source, order, money, amount,
            _positive(commerce.amount(said)), periods,
        )  # fmt: skip


def _given_back(event: ResolvedEvent, said: Mapping[str, Any], plans: Plans, money: str) -> Iterator[Heard]:
    """A refund or cancellation of an order: of a plan's line, of all of it, or of so much that nobody says of what."""
    order, lines = _order(said), list(_lines(said))
    if not order:
        return
    whole = event.name == commerce.ORDER_CANCELLED
    amount = None if whole else _positive(commerce.amount(said))
    named = {plan for line in lines if (plan := plans.by_sku(_skus(line), event.timestamp))}
    if lines and not named and not whole:
        return
    refund = _text(said, "refund_id")
    for plan in sorted(named) if named and not whole else (ANY,):
        part = None if named or whole else amount
        yield Heard(
            event.id, plan, event.via, event.timestamp, "refunded", event.source, order, money, part, part,
            refund=refund,
        )  # fmt: skip


def _lines(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    products = said.get("products")
    if isinstance(products, list):
        yield from (item for item in products if isinstance(item, Mapping))


def _skus(said: Mapping[str, Any]) -> list[str]:
    found = (said.get(name) for name in ("sku", "product_id", "productId"))
    return [str(value).strip() for value in found if isinstance(value, str | int) and not isinstance(value, bool)]


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    plain = str(value).replace("\0", "").strip() if isinstance(value, str | int) else ""
    return "" if isinstance(value, bool) else plain[:255]


def _order(said: Mapping[str, Any]) -> str:
    return (commerce.order_id(said) or "").replace("\0", "")


def _amount(said: Mapping[str, Any], *names: str) -> Decimal | None:
    found = (_positive(commerce.decimal(said.get(name))) for name in names)
    return next((value for value in found if value is not None), None)


def _positive(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else abs(amount)


def _periods(value: Any) -> int:
    number = commerce.decimal(value)
    return 1 if number is None or number < 1 else int(min(number, Decimal(MOST_PERIODS)))


def read_savings(events: Iterable[ResolvedEvent], currency: str) -> Iterator[Saving]:
    """What orders say was taken off: `discount`, and `shipping_discount` or a `shipping` of 0."""
    for event in events:
        if event.name != commerce.ORDER_COMPLETED:
            continue
        said = read_body(event.body).properties or {}
        order = commerce.order_id(said) or f"message:{event.message_id}"
        discount = abs(commerce.decimal(said.get("discount")) or NOTHING)
        told, shipping = commerce.decimal(said.get("shipping_discount")), commerce.decimal(said.get("shipping"))
        spared = abs(told) if told is not None else (UNTOLD if shipping == 0 else NOTHING)
        if discount or spared:
            money = commerce.currency(said, currency)
            yield Saving(
                digest_uuid(event.source, order), event.via, event.id, event.timestamp, discount, spared, money
            )  # fmt: skip
