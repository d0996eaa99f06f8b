"""The win-back: who has not bought for 60 days is invited, a control group is only watched."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from perennial.demo import carts
from perennial.demo.data import Shopper
from perennial.demo.reference import LiveOrder, Reference, money
from perennial.demo.session import Session
from perennial.demo.state import State

DAYS = 60
RETURNING = 10
PATIENCE = timedelta(seconds=60)


async def enrol(session: Session, journey: str, segment: str, files: Reference) -> None:
    """Put the segment's members on the journey, once.

    Campaigns hears of members a moment after segments knows them: asked again until all are on it.
    """
    client, state, now = session.client, session.state, datetime.now(UTC)
    if state.lapsed is not None:
        return
    size = (await client.get(f"/v1/segments/{segment}"))["size"]
    deadline = now + PATIENCE
    while (await client.get(f"/v1/journeys/{journey}/funnel"))["enrolled"] < size and datetime.now(UTC) < deadline:
        await client.post(f"/v1/journeys/{journey}/enrol", {"segment_id": segment}, key=str(uuid4()))
        await asyncio.sleep(0.5)
    state.lapsed = sorted(files.lapsed(now, DAYS))
    state.save()


async def come_back(session: Session, journey: str, shoppers: list[Shopper]) -> None:
    """Some of those who got the message order again; the same ones when the demo runs again."""
    state = session.state
    if state.returned_at is None:
        invited = await _invited(session, journey)
        session.chosen("returned", [shopper for shopper in shoppers if shopper.household in invited][-RETURNING:])
        # A whole second that is not over yet: nobody comes back before the invitation.
        state.returned_at = (datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)).isoformat()
        state.save()
    await session.until(datetime.fromisoformat(state.returned_at))
    for shopper, order in zip(session.chosen("returned", ()), orders(state), strict=True):
        await carts.pay(session, shopper, order)


def orders(state: State) -> list[LiveOrder]:
    """The orders of the households that came back."""
    if state.returned_at is None:
        return []
    at = datetime.fromisoformat(state.returned_at)
    returned = (Shopper(**row) for row in state.returned)
    return [LiveOrder(one.household, f"demo-return-{one.household}", at, money(one.cents)) for one in returned]


async def _invited(session: Session, journey: str) -> set[int]:
    households = {customer: household for household, customer in session.customers.items()}
    messages = session.client.pages("/v1/messages", {"journey_id": journey, "status": "sent"})
    return {households[item["customer_id"]] async for item in messages}
