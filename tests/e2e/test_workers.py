"""Workers that share, and workers that meet something they cannot handle."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import msgspec
import nats

from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved, ResolvedEvent
from perennial.common.ids import partition_of
from perennial.common.testing.events import tracked
from perennial.local.net import free_port
from perennial.local.platform import Platform
from tests.e2e.shop import Shop, totals, until


def test_two_identity_workers_make_one_customer_of_the_same_newcomer(platform: Platform, shop: Shop) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "perennial.common.run", "identity", "--worker", "--port", str(port)]
    second = subprocess.Popen(argv, env=platform.environment_of("identity"), stdout=subprocess.DEVNULL)
    try:
        until(partial(_ready, port), what="a second identity")
        users = [shop.user(number) for number in range(60)]
        orders = [shop.order(user, "1", anonymousId=f"{user}-device") for user in users for _ in range(4)]
        batches = [orders[start::12] for start in range(12)]  # the same newcomers in every batch
        senders = [threading.Thread(target=shop.deliver, args=(batch,)) for batch in batches]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        for user, (count, money, _) in totals(orders).items():
            until(partial(_is_shown, shop, user, (count, money)), what=f"{user}: {count} orders")
            assert shop.customer(f"{user}-device", "anonymous_id") == shop.known(user)
    finally:
        second.terminate()
        second.wait(30)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _is_shown(shop: Shop, user: str, wanted: tuple[int, Decimal]) -> bool:
    return shop.orders_of(user) == wanted


def test_one_poisoned_event_of_five_hundred_is_parked_alone_and_replayed_after_the_fix(
    platform: Platform, shop: Shop
) -> None:
    zoe = shop.user("zoe")
    shop.deliver([shop.event("identify", zoe, traits={"plan": "free"})])
    customer = shop.known(zoe)
    events = [_order(shop, customer, number) for number in range(500)]
    healthy = events[250].body
    events[250] = msgspec.structs.replace(events[250], body=msgspec.Raw(b'{"properties": ["not", "an", "object"]}'))
    asyncio.run(_publish(platform, events))
    until(partial(_is_shown, shop, zoe, (499, Decimal(499))), what="499 neighbours")
    until(lambda: shop.points_of(zoe) == 499, what="their points")
    for service in ("profile", "loyalty"):
        parked = _operate(platform, service, "parked")
        [row] = [row for row in parked if row["event_id"] == str(events[250].id)]
        healed = msgspec.structs.replace(events[250], body=healthy)
        asyncio.run(_fix(platform, service, row["id"], msgspec.json.encode(EventsResolved([healed]))))
        _operate(platform, service, "replay", str(row["id"]))
    until(partial(_is_shown, shop, zoe, (500, Decimal(500))), what="all 500")
    assert shop.points_of(zoe) == 500


def _order(shop: Shop, via: str, number: int) -> ResolvedEvent:
    properties = {"order_id": f"{shop.mark}-p{number}", "revenue": "1", "currency": "USD"}
    return tracked("Order Completed", properties, via=UUID(via), live=False, message_id=f"{shop.mark}-p{number}")


async def _publish(platform: Platform, events: list[ResolvedEvent]) -> None:
    client = await nats.connect(platform.nats_url)
    subject = f"{RESOLVED_SUBJECT}.{partition_of(events[0].via)}"
    await client.jetstream().publish(subject, msgspec.json.encode(EventsResolved(events)))
    await client.close()


async def _fix(platform: Platform, service: str, parked_id: int, body: bytes) -> None:
    connection = await asyncpg.connect(platform.database_url)
    await connection.execute(f"UPDATE {service}.parked SET body = $1 WHERE id = $2", body, parked_id)
    await connection.close()


def _operate(platform: Platform, service: str, *words: str) -> list[dict[str, Any]]:
    """The operators' command, as one of the service's own processes."""
    argv = [sys.executable, "-m", "perennial.common.operate", service, *words]
    env = {**os.environ, **platform.environment_of(service)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
