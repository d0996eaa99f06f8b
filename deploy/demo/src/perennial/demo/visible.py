"""Waiting until what was accepted is visible, and how long that takes."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import quantiles
from uuid import uuid4

from rich.console import Console

from perennial.demo.client import Client
from perennial.demo.dataset import ZONE
from perennial.demo.people import compact

PATIENCE = 180.0
PROBES = 100
PROBE_PATIENCE = 30.0


@dataclass(frozen=True)
class Progress:
    """How far each service has come: profile, loyalty and segments read the events each for itself.

    `scored` is the orders that the RFM standings are made of; they are computed every few seconds.
    """

    events: int
    orders: int
    points: int
    scored: int

    def missing(self, goal: "Progress") -> dict[str, int]:
        """What is not there yet, by name."""
        return {
            name: wanted - getattr(self, name) for name, wanted in vars(goal).items() if getattr(self, name) < wanted
        }


@dataclass(frozen=True)
class Latency:
    """Seconds from the gateway's answer to the event being readable."""

    probes: int
    p50: float
    p99: float


async def progress(client: Client) -> Progress:
    """What the public API shows now."""
    customers, orders, loyalty, rfm = await asyncio.gather(
        client.get("/v1/customers/summary"),
        client.get("/v1/orders/summary", {"timezone": ZONE.key}),
        client.get("/v1/loyalty/summary"),
        client.get("/v1/rfm/summary"),
    )
    return Progress(customers["events"], orders["orders"], loyalty["earned"], rfm["orders"])


async def until_visible(client: Client, goal: Progress, console: Console) -> float:
    """Wait for the goal and return the monotonic time it was reached.

    Gives up when nothing has moved for three minutes: the self-check will then say what is missing.
    """
    seen, moved = None, time.monotonic()
    with console.status("waiting until everything is visible") as status:
        while True:
            now = await progress(client)
            if not now.missing(goal):
                return time.monotonic()
            if now != seen:
                seen, moved = now, time.monotonic()
            if time.monotonic() - moved > PATIENCE:
                console.print(f"[red]still missing after {PATIENCE:.0f} s: {now.missing(goal)}")
                return time.monotonic()
            missing = ", ".join(f"{count:,} {name}" for name, count in now.missing(goal).items())
            status.update(f"waiting until everything is visible: {missing} to come")
            await asyncio.sleep(0.5)


async def latency(client: Client, household: int) -> Latency:
    """Send live probe events one after the other and read each back by its message id."""
    seconds = [await _probe(client, f"household-{household}") for _ in range(PROBES)]
    cuts = quantiles(seconds, n=100, method="inclusive")
    return Latency(PROBES, cuts[49], cuts[98])


async def _probe(client: Client, user_id: str) -> float:
    message = str(uuid4())
    now = datetime.now(UTC).isoformat()
    event = {"event": "Product Viewed", "messageId": message, "userId": user_id, "sentAt": now}
    body = {**event, "timestamp": now, "properties": {"product_id": "demo-probe"}}
    await client.track("/v1/track", compact(body).encode())
    accepted = time.monotonic()
    while await client.find(f"/v1/events/{message}") is None:
        if time.monotonic() - accepted > PROBE_PATIENCE:
            break
        await asyncio.sleep(0.002)
    return time.monotonic() - accepted
