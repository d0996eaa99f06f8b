"""The demo's two journeys: a reminder of an abandoned cart, and a win-back with a control group."""

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

from perennial.demo.client import Client, Json

CART, WINBACK = "Cart reminder", "Win-back"
CONTROL_PERCENT = 20
PATIENCE = 90.0

DEFINITIONS: dict[str, Json] = {
    CART: {
        "trigger": {"event": "Product Added"},
        "reentry": "after_exit",
        "exit_on": [{"event": "Order Completed"}],
        "steps": [
            {"id": "pause", "kind": "wait", "for": "PT5S"},
            {
                "id": "still-open",
                "kind": "condition",
                "rule": {"not": {"event": "Order Completed", "within": "PT10S"}},
                "yes": "remind",
                "no": "exit",
            },
            {
                "id": "remind",
                "kind": "message",
                "channel": "sandbox",
                "subject": "Your cart is waiting",
                "body": "What you picked is still there.",
            },
            {"id": "exit", "kind": "exit"},
        ],
    },
    WINBACK: {
        "trigger": {"api": True},
        "reentry": "once",
        "exit_on": [{"event": "Order Completed"}],
        "steps": [
            {
                "id": "share",
                "kind": "split",
                "arms": [
                    {"name": "treated", "percent": 100 - CONTROL_PERCENT, "next": "invite"},
                    {"name": "control", "percent": CONTROL_PERCENT, "next": "watch"},
                ],
            },
            {
                "id": "invite",
                "kind": "message",
                "channel": "sandbox",
                "subject": "We miss you",
                "body": "Come back this week: your points are still yours.",
            },
            {"id": "watch", "kind": "wait", "for": "P7D"},
            {"id": "exit", "kind": "exit"},
        ],
    },
}


async def publish(client: Client) -> dict[str, str]:
    """The ids of the demo's journeys by name; the missing ones are made and published."""
    known = {item["name"]: item async for item in client.pages("/v1/journeys")}
    for name, definition in DEFINITIONS.items():
        if name not in known:
            body = {"name": name, "definition": definition}
            known[name] = await client.post("/v1/journeys", body, key=str(uuid4()))
        if known[name]["state"] == "draft":
            await client.post(f"/v1/journeys/{known[name]['id']}/publish")
    return {name: known[name]["id"] for name in DEFINITIONS}


async def funnel_when(client: Client, journey: str, done: Callable[[Json], bool]) -> Json:
    """The funnel as soon as it satisfies `done`, or as it is after a minute and a half."""
    deadline = time.monotonic() + PATIENCE
    while True:
        funnel = await client.get(f"/v1/journeys/{journey}/funnel")
        if done(funnel) or time.monotonic() > deadline:
            return funnel
        await asyncio.sleep(0.5)


def step(funnel: Json, identifier: str) -> Json:
    """One step of a funnel."""
    return next(item for item in funnel["steps"] if item["id"] == identifier)
