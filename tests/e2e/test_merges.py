"""Facts never move: a merge and its undo change what every service shows, by the map alone."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import nats
from nats.js.api import StreamConfig

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until


def seen(shop: Shop, customer: str, segment: str, journey: str) -> dict[str, Any]:
    """What each service shows of one customer."""
    shown = shop.get(f"/v1/customers/{customer}")
    account = shop.try_get(f"/v1/loyalty/accounts/{customer}") or {"balance": 0}
    inside = {item["customer_id"] for item in shop.items(f"/v1/segments/{segment}/members")}
    standing = shop.try_get(f"/v1/rfm/customers/{customer}") or {"monetary": "0"}
    return {
        "id": shown["id"],
        "orders": (shown["orders"]["count"], shown["orders"]["gmv"]),
        "plan": shown["traits"].get("plan"),
        "points": account["balance"],
        "member": shown["id"] in inside,
        "rfm": standing["monetary"],
        "tickets": len(shop.items("/v1/tickets", customer_id=customer)),
        "messages": len(shop.items("/v1/messages", customer_id=customer, journey_id=journey)),
    }


def test_a_merge_is_seen_everywhere_and_so_is_its_undo(shop: Shop) -> None:
    segment = shop.post(
        "/v1/segments", {"name": f"big {shop.mark}", "rule": {"event": "Order Completed", "count": {"gte": 2}}}
    )["id"]
    until(lambda: shop.get(f"/v1/segments/{segment}")["state"] == "live")
    journey = _thanks(shop)
    mia, phone = shop.user("mia"), shop.user("device")
    shop.deliver(
        [
            shop.event("identify", mia, traits={"email": f"{mia}@example.com", "plan": "pro"}),
            shop.order(mia, "30"),
            {
                "type": "identify",
                "messageId": f"{shop.mark}-anon-identify",
                "anonymousId": phone,
                "traits": {"email": f"{phone}@example.com"},
            },
            {
                "type": "track",
                "messageId": f"{shop.mark}-anon",
                "anonymousId": phone,
                "event": "Order Completed",
                "properties": {"order_id": f"{shop.mark}-x", "revenue": "12", "currency": "USD"},
            },
        ]
    )
    one, two = shop.known(mia), shop.known(phone, "anonymous_id")
    for customer in (one, two):
        body = {"customer_id": customer, "type": "question", "subject": "Hello", "description": "A question"}
        until(partial(_try, partial(shop.post, "/v1/tickets", body, key=uuid4().hex)), what="a ticket")
    look = partial(seen, shop, segment=segment, journey=journey)
    before = {}
    for customer, points in ((one, 30), (two, 12)):
        wanted = {"points": points, "messages": 1, "rfm": f"{points}.00"}
        before[customer] = until(partial(_when, look, customer, wanted), what=f"the state before, of {customer}")
    assert before[one]["member"] is before[two]["member"] is False

    merge = shop.post("/v1/merges", {"customer_ids": [one, two], "reason": "same person"}, key=uuid4().hex)
    both = {
        "id": merge["survivor"],
        "orders": (2, "42.00"),
        "plan": "pro",
        "points": 42,
        "member": True,
        "rfm": "42.00",
        "tickets": 2,
        "messages": 2,
    }
    for customer in (one, two):
        until(partial(_when, look, customer, both), what=f"merged, asked by {customer}: {both}")

    shop.post(f"/v1/merges/{merge['id']}/undo", {"reason": "two people"}, key=uuid4().hex)
    for customer in (one, two):
        wanted = before[customer]
        until(partial(_when, look, customer, wanted), what=f"as if never merged: {wanted}")


def _thanks(shop: Shop) -> str:
    steps = [{"id": "thanks", "kind": "message", "channel": "sandbox", "subject": "Thanks", "body": "Thank you."}]
    made = shop.post(
        "/v1/journeys",
        {"name": f"thanks {shop.mark}", "definition": {"trigger": {"event": "Order Completed"}, "steps": steps}},
    )
    shop.post(f"/v1/journeys/{made['id']}/publish")
    return str(made["id"])


def _when(look: Callable[[str], dict[str, Any]], customer: str, wanted: dict[str, Any]) -> dict[str, Any] | None:
    state = look(customer)
    return state if all(state[name] == value for name, value in wanted.items()) else None


def _try(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except AssertionError:
        return None


def test_identity_killed_before_it_published_and_a_merge_meanwhile(platform: Platform, shop: Shop) -> None:
    """EVENTS is full, so identity decides but cannot publish; it is killed; two customers merge; then there is room.

    The repeat gets its old decisions, under the new map: counted once, for the same customer in every service.
    """
    nora, olga = shop.user("nora"), shop.user("olga")
    shop.deliver([shop.order(nora, "10"), shop.event("track", None, anonymousId=olga, event="Hello")])
    one, two = shop.known(nora), shop.known(olga, "anonymous_id")
    until(lambda: shop.points_of(nora) == 10)
    with full(platform):
        order = {
            "type": "track",
            "messageId": f"{shop.mark}-stuck",
            "anonymousId": olga,
            "event": "Order Completed",
            "properties": {"order_id": f"{shop.mark}-stuck", "revenue": "5", "currency": "USD"},
        }
        shop.deliver([order])
        until(lambda: decided(platform, shop), what="identity has decided")
        platform.kill("identity")
        platform.wait_process("identity")
        merge = until(
            lambda: _try(
                lambda: shop.post("/v1/merges", {"customer_ids": [one, two], "reason": "same"}, key=uuid4().hex)
            )
        )
    shop.deliver([order])
    survivor = merge["survivor"]
    until(lambda: shop.get(f"/v1/customers/{one}")["orders"]["count"] == 2, 90, "the order, at last")
    until(lambda: shop.points_of(nora) == 15)
    shown = shop.get(f"/v1/customers/{two}")
    assert (shown["id"], shown["orders"]["count"], Decimal(shown["orders"]["gmv"])) == (survivor, 2, Decimal(15))


class full:  # noqa: N801 (reads as a word)
    """EVENTS has no room for another message while this lasts."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def __enter__(self) -> None:
        asyncio.run(self._resize(1))

    def __exit__(self, *_: object) -> None:
        asyncio.run(self._resize(None))

    async def _resize(self, limit: int | None) -> None:
        client = await nats.connect(self._platform.nats_url)
        js = client.jetstream()
        config: StreamConfig = (await js.stream_info("EVENTS")).config
        config.max_bytes = limit if limit is not None else 1024 * 1024 * 1024
        await js.update_stream(config)
        await client.close()


def decided(platform: Platform, shop: Shop) -> bool:
    """Whether identity's decision for the stuck order is in its database."""
    import asyncpg  # noqa: PLC0415

    from perennial.common.ids import digest_uuid  # noqa: PLC0415

    async def ask() -> bool:
        connection = await asyncpg.connect(platform.database_url)
        try:
            ids = [digest_uuid(row["id"], f"{shop.mark}-stuck") for row in await _sources(connection)]
            return bool(await connection.fetchval("SELECT count(*) FROM identity.decision WHERE id = ANY($1)", ids))
        finally:
            await connection.close()

    async def _sources(connection: Any) -> Any:
        return await connection.fetch("SELECT id::text AS id FROM gateway.source")

    return asyncio.run(ask())


def test_events_full_means_503_and_then_everything_arrives(platform: Platform, shop: Shop) -> None:
    pia = shop.user("pia")
    sent = []

    def refused() -> bool:
        order = shop.order(pia, "1", context={"filler": "x" * 30_000})
        answer = shop.send([order] * 1)
        if answer.status_code == 200:
            sent.append(order)
        return answer.status_code == 503

    with full(platform), small_ingest(platform):
        until(refused, 60, "INGEST full: 503")
    until(lambda: shop.points_of(pia) == len(sent), 90, f"all {len(sent)}")
    assert len(sent) > 0


class small_ingest(full):  # noqa: N801
    """INGEST takes only a little while this lasts."""

    async def _resize(self, limit: int | None) -> None:
        client = await nats.connect(self._platform.nats_url)
        js = client.jetstream()
        config: StreamConfig = (await js.stream_info("INGEST")).config
        config.max_bytes = 600_000 if limit is not None else 256 * 1024 * 1024
        await js.update_stream(config)
        await client.close()
