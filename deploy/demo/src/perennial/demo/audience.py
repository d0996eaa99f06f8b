"""The demo's segments: the rules the platform is given, and the same questions asked of the reference."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from perennial.demo.client import Client, Json, UnreachableError
from perennial.demo.reference import Reference

PATIENCE = 60.0
ORDERED = "Order Completed"


@dataclass(frozen=True)
class Segment:
    """A name, a rule in the platform's language, and who is in it by the data files at an instant."""

    name: str
    rule: Json
    members: Callable[[Reference, datetime], set[int]]


LAPSED = Segment(
    "Lapsed for 60 days",
    {"event": ORDERED, "last": {"before": "P60D"}},
    lambda reference, at: reference.lapsed(at, 60),
)
REGULARS = Segment(
    "Regulars: 3 orders in 90 days",
    {"event": ORDERED, "count": {"gte": 3}, "within": "P90D"},
    lambda reference, at: reference.regulars(at, 90, 3),
)
SPENDERS = Segment(
    "Spent 5,000 dollars",
    {"event": ORDERED, "sum": {"property": "revenue", "gte": 5000}},
    lambda reference, _: reference.spenders(5000),
)
FAMILIES = Segment(
    "Families",
    {"trait": "kids_count", "in": ["1", "2", "3+"]},
    lambda reference, _: reference.families(),
)
SEGMENTS = (LAPSED, REGULARS, SPENDERS, FAMILIES)


async def create(client: Client) -> dict[str, str]:
    """The ids of the demo's segments by name; the missing ones are made."""
    ids = {item["name"]: item["id"] async for item in client.pages("/v1/segments")}
    for segment in SEGMENTS:
        if segment.name not in ids:
            body = {"name": segment.name, "rule": segment.rule}
            made = await client.post("/v1/segments", body, key=str(uuid4()))
            ids[segment.name] = made["id"]
    for segment in SEGMENTS:
        await _built(client, ids[segment.name])
    return {segment.name: ids[segment.name] for segment in SEGMENTS}


async def _built(client: Client, segment: str) -> None:
    """Wait until its members are known."""
    deadline = time.monotonic() + PATIENCE
    while (now := await client.get(f"/v1/segments/{segment}"))["state"] == "building":
        if time.monotonic() > deadline:
            raise UnreachableError(f"the segment {now['name']!r} is still building after {PATIENCE:.0f} s")
        await asyncio.sleep(0.2)


async def settled(client: Client, reference: Reference) -> float:
    """Wait until every segment has as many members as the reference; the seconds that took.

    Gives up after a while: the self-check will then say which households are not equal.
    """
    started = time.monotonic()
    while True:
        sizes = {item["name"]: item["size"] async for item in client.pages("/v1/segments")}
        now = datetime.now(UTC)
        passed = time.monotonic() - started
        if all(sizes[one.name] == len(one.members(reference, now)) for one in SEGMENTS) or passed > PATIENCE:
            return passed
        await asyncio.sleep(0.5)
