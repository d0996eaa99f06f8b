"""Live traffic after the import: carts abandoned and paid, refund requests, a win-back, points spent.

Every id is made from the data and every instant is kept in the state, so a later run sends the same
events and requests again, and the platform counts none of them twice.
"""

from collections import Counter
from dataclasses import dataclass

from perennial.demo import audience, carts, desk, journeys, winback
from perennial.demo.client import Json
from perennial.demo.data import Shopper
from perennial.demo.reference import LiveOrder, Reference
from perennial.demo.session import Session
from perennial.demo.state import State

POINTS = 500


@dataclass(frozen=True)
class Traffic:
    """What was done, and what the journeys made of it.

    `stages` are those of the refund requests, `lapsed` the households on the win-back by the
    data files, `back` those of them that bought since.
    """

    carts: list[Shopper]
    stages: list[str]
    lapsed: set[int]
    back: set[int]
    reminders: Counter[str]
    cart_funnel: Json
    winback_funnel: Json

    def abandoned(self, *, email: bool) -> int:
        """How many abandoned carts belong to somebody with, or without, an address to write to."""
        left = [cart for cart in self.carts if cart not in carts.paid(self.carts)]
        return sum(cart.email is email for cart in left)


async def run(session: Session, shoppers: list[Shopper], files: Reference) -> Traffic:
    """All of it; returns when nobody is on the cart journey any more and the win-back has settled."""
    client = session.client
    segments = await audience.create(client)
    ids = await journeys.publish(client)
    cart, winning = ids[journeys.CART], ids[journeys.WINBACK]
    with session.console.status("live traffic: win-back, carts, refund requests, points"):
        await winback.enrol(session, winning, segments[audience.LAPSED.name], files)
        await journeys.funnel_when(client, winning, _invited)
        filled = await carts.fill(session, shoppers)
        stages = await desk.refunds(session, [shopper for shopper in shoppers if shopper not in filled])
        await winback.come_back(session, winning, shoppers)
        await _spend(session, files)
        lapsed = set(session.state.lapsed or ())
        back = lapsed & {order.household for order in orders(session.state)}
        return Traffic(
            carts=filled,
            stages=stages,
            lapsed=lapsed,
            back=back,
            cart_funnel=await journeys.funnel_when(client, cart, lambda funnel: _is_over(funnel, len(filled))),
            winback_funnel=await journeys.funnel_when(client, winning, lambda funnel: _exits(funnel) >= len(back)),
            reminders=await _reminders(session, cart),
        )


def orders(state: State) -> list[LiveOrder]:
    """Every order that the live traffic of this or an earlier run placed."""
    return carts.orders(state) + winback.orders(state)


async def _reminders(session: Session, journey: str) -> Counter[str]:
    """The cart journey's messages: how many were sent, and how many not for each reason."""
    messages = session.client.pages("/v1/messages", {"journey_id": journey})
    return Counter([item["reason"] or item["status"] async for item in messages])


def _is_over(funnel: Json, entered: int) -> bool:
    return bool(funnel["enrolled"] >= entered and not funnel["active"])


def _exits(funnel: Json) -> int:
    return sum(funnel["exited"].values())


def _invited(funnel: Json) -> bool:
    """Whether everybody is past the split and the message."""
    shares, invited = journeys.step(funnel, "share"), journeys.step(funnel, "invite")
    handled = sum(invited["outcomes"].values())
    arms = shares["outcomes"]
    return bool(sum(arms.values()) >= funnel["enrolled"] and handled >= arms.get("treated", 0))


async def _spend(session: Session, reference: Reference) -> None:
    """Whoever has most points spends some, once."""
    state = session.state
    if not state.spent:
        household, best = max(reference.households.items(), key=lambda item: item[1].points)
        state.spent = {str(household): min(POINTS, best.points)}
        state.save()
    for name, points in state.spent.items():
        path = f"/v1/loyalty/accounts/{session.customers[int(name)]}"
        if points and not (await session.client.get(path))["spent"]:
            body = {"points": points, "reason": "demo", "reference": f"demo-spend-{name}"}
            await session.client.post(f"{path}/spend", body, key=f"demo-spend-{name}")
