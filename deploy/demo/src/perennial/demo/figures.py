"""What the platform shows, read through the public API."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from perennial.demo.client import Client, Json
from perennial.demo.dataset import ZONE, local_day


@dataclass(frozen=True)
class Shown:
    """The platform's answers; the dictionaries are by household."""

    summaries: dict[str, Json]
    customers: dict[int, str]
    rfm: dict[int, Json]
    accounts: dict[int, Json]
    segments: dict[str, Json]
    members: dict[str, set[int]]
    as_of: datetime
    zone: ZoneInfo


async def read(client: Client) -> Shown:
    """Every figure of the report, and of every household."""
    households = await names(client)
    summaries = await _summaries(client)
    # The zone that the deployment counts its days in; `make demo` sets that of the shops.
    zone = ZoneInfo((await client.get("/v1/orders/summary"))["timezone"])
    as_of, rfm = await _standings(client, households, zone)
    accounts = {households.get(item["customer_id"], 0): item async for item in client.pages("/v1/loyalty/accounts")}
    segments = {item["name"]: item async for item in client.pages("/v1/segments")}
    members = {
        name: {
            households.get(item["customer_id"], 0)
            async for item in client.pages(f"/v1/segments/{segment['id']}/members")
        }
        for name, segment in segments.items()
    }
    return Shown(
        summaries=summaries,
        customers={household: customer for customer, household in households.items()},
        rfm=rfm,
        accounts=accounts,
        segments=segments,
        members=members,
        as_of=as_of,
        zone=zone,
    )


async def _standings(client: Client, households: dict[str, int], zone: ZoneInfo) -> tuple[datetime, dict[int, Json]]:
    """The RFM standings, all read on the same local day: recency is of the moment of reading."""
    while True:
        as_of = datetime.now(UTC)
        rfm = {households.get(item["customer_id"], 0): item async for item in client.pages("/v1/rfm/customers")}
        if local_day(datetime.now(UTC), zone) == local_day(as_of, zone):
            return as_of, rfm


async def names(client: Client) -> dict[str, int]:
    """The household of each customer id."""
    return {
        item["id"]: int(item["traits"]["household_id"])
        async for item in client.pages("/v1/customers")
        if "household_id" in item["traits"]
    }


async def _summaries(client: Client) -> dict[str, Json]:
    paths = {
        "customers": "/v1/customers/summary",
        "loyalty": "/v1/loyalty/summary",
        "rfm": "/v1/rfm/summary",
        "messages": "/v1/messages/summary",
        "tickets": "/v1/tickets/summary",
    }
    answers = await asyncio.gather(
        client.get("/v1/orders/summary", {"timezone": ZONE.key}), *map(client.get, paths.values())
    )
    return dict(zip(["orders", *paths], answers, strict=True))
