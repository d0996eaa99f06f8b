"""Carts: a dozen households put something in, half of them pay."""

from datetime import UTC, datetime, timedelta

from perennial.demo.data import CURRENCY, Shopper
from perennial.demo.reference import LiveOrder, money
from perennial.demo.session import Session
from perennial.demo.state import State

WITH_EMAIL, WITHOUT_EMAIL = 9, 3
PAYMENT = timedelta(seconds=1)


def choose(shoppers: list[Shopper]) -> list[Shopper]:
    """The latest shoppers: some that a message can reach, and some that none can."""
    reachable = [shopper for shopper in shoppers if shopper.email][:WITH_EMAIL]
    return reachable + [shopper for shopper in shoppers if not shopper.email][:WITHOUT_EMAIL]


def paid(carts: list[Shopper]) -> list[Shopper]:
    """Every second one."""
    return carts[::2]


def orders(state: State) -> list[LiveOrder]:
    """What the paid carts come to."""
    if state.live_at is None:
        return []
    at = datetime.fromisoformat(state.live_at) + PAYMENT
    carts = [Shopper(**row) for row in state.carts]
    return [LiveOrder(cart.household, f"demo-cart-{cart.household}", at, money(cart.cents)) for cart in paid(carts)]


async def fill(session: Session, shoppers: list[Shopper]) -> list[Shopper]:
    """Product Added for every cart, then Order Completed for those that are paid."""
    state = session.state
    carts = session.chosen("carts", choose(shoppers))
    if state.live_at is None:
        state.live_at = datetime.now(UTC).replace(microsecond=0).isoformat()
        state.save()
    live_at = datetime.fromisoformat(state.live_at)
    for cart in carts:
        name = f"demo-cart-{cart.household}"
        properties = {"cart_id": name, "currency": CURRENCY, **cart.line}
        await session.track("Product Added", f"{name}-added", cart.household, live_at, properties)
    await session.until(live_at + PAYMENT)
    for cart, order in zip(paid(carts), orders(state), strict=True):
        await pay(session, cart, order)
    return carts


async def pay(session: Session, shopper: Shopper, order: LiveOrder) -> None:
    """Order Completed for one product."""
    properties = {
        "order_id": order.order_id,
        "currency": CURRENCY,
        "revenue": float(order.amount),
        "products": [shopper.line],
    }
    await session.track("Order Completed", f"{order.order_id}-paid", order.household, order.at, properties)
