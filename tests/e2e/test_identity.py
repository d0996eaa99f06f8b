"""Who it was, whatever dies between the look-up and the acknowledgement, and whatever is decided meanwhile."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg
import nats
import pytest

from perennial.common.ids import digest_uuid
from perennial.common.messaging.consumer import ACK_WAIT_SECONDS
from perennial.local.platform import Platform
from tests.e2e.shop import Shop, until

POINTS = (
    "identity.looked_up", "identity.decided", "identity.committed", "identity.publishing", "identity.unacknowledged",
)  # fmt: skip
COMMITTED = POINTS[2:]


@pytest.fixture(scope="module")
def faults(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder: identity kills itself at the point whose name a file in it bears, once."""
    folder = tmp_path_factory.mktemp("faults")
    platform.stop_process("identity")
    platform.start_process("identity", {"PERENNIAL_FAULTS": str(folder)})
    yield folder
    platform.stop_process("identity")
    platform.start_process("identity")


class Three(NamedTuple):
    """Three customers to whom something happens between a crash and the redelivery."""

    visitor: str
    parting: str
    tablet: str
    ones: tuple[str, str]
    merge: str


def test_killed_anywhere_with_the_map_changed_before_the_redelivery_every_service_names_the_same(
    platform: Platform, shop: Shop, faults: Path
) -> None:
    """Of each point in turn: two customers merge, two part, a tablet becomes shared, then the batch comes again."""
    prepared = {point: prepare(shop, f"{number}") for number, point in enumerate(POINTS)}
    sent = {point: _orders(shop, three) for point, three in prepared.items()}
    for point, three in prepared.items():
        (faults / point).touch()
        shop.deliver(sent[point])
        until(lambda: not (faults / point).exists(), what=f"killed at {point}")  # noqa: B023 (called at once)
        platform.wait_process("identity")
        meanwhile(platform, shop, three)
        asyncio.run(redeliver(platform))
    for point, three in prepared.items():
        found = until(lambda: attributed(platform, sent[point]), what="each order everywhere")  # noqa: B023
        for services in found.values():
            assert {len(vias) for vias in services.values()} == {1}, services
            assert len({vias[0] for vias in services.values()}) == 1, services
        assert spoke(platform, found, sent[point][2]) == ("device_id" if point in COMMITTED else "anonymous_id")
        shown_alike(shop, three)


def prepare(shop: Shop, name: str) -> Three:
    """A user and a visitor; two who were merged; a tablet that two users have used, the first one's so far."""
    user, visitor = shop.user(f"user{name}"), shop.user(f"visitor{name}")
    staying, parting = shop.user(f"staying{name}"), shop.user(f"parting{name}")
    tablet = shop.user(f"tablet{name}")
    bearing = {"context": {"device": {"id": tablet}}}
    shop.deliver(
        [
            shop.event("track", user, event="Hello"),
            shop.event("track", None, anonymousId=visitor, event="Hello"),
            shop.event("track", staying, event="Hello"),
            shop.event("track", None, anonymousId=parting, event="Hello"),
            shop.event("track", shop.user(f"first{name}"), event="Hello", **bearing),
            shop.event("track", shop.user(f"second{name}"), event="Hello", **bearing),
        ]
    )
    pair = [shop.known(staying), shop.known(parting, "anonymous_id")]
    made = until(lambda: _merge(shop, pair), what="a merge")
    ones = (shop.known(user), shop.known(visitor, "anonymous_id"))
    return Three(visitor, parting, tablet, ones, made["id"])


def _merge(shop: Shop, pair: list[str]) -> dict[str, Any] | None:
    body = {"customer_ids": pair, "reason": "the same"}
    answer = shop.http.post("/v1/merges", json=body, headers={**shop.headers, "Idempotency-Key": uuid4().hex})
    return answer.json() if answer.status_code == 201 else None


def _orders(shop: Shop, three: Three) -> list[dict[str, Any]]:
    """Orders of all three, by the identifiers that are about to change hands; in one batch, so in one transaction."""
    bearing = {"context": {"device": {"id": three.tablet}}}
    made: list[dict[str, Any]] = []
    for number in range(4):
        properties = {"order_id": f"{three.tablet}-{number}", "revenue": "10", "currency": "USD"}
        for who in (
            {"anonymousId": three.visitor},
            {"anonymousId": three.parting},
            {"anonymousId": f"{three.tablet}-visit{number}", **bearing},
        ):
            order = shop.event("track", None, event="Order Completed", properties=dict(properties), **who)
            order["properties"]["order_id"] += f"-{len(made)}"
            made.append(order)
    return made


def meanwhile(platform: Platform, shop: Shop, three: Three) -> None:
    """What people and other events do before the batch comes again."""
    before = len(_fetch(platform, "SELECT FROM identity.shared"))
    until(lambda: _merge(shop, list(three.ones)), what="a merge before the redelivery")
    undo = f"/v1/merges/{three.merge}/undo"
    until(lambda: shop.http.post(undo, json={"reason": "two"}, headers=shop.headers).status_code == 200, what="an undo")
    third = shop.event("track", f"{three.tablet}-third", event="Hello", context={"device": {"id": three.tablet}})
    shop.deliver([third])
    until(lambda: len(_fetch(platform, "SELECT FROM identity.shared")) > before, what="a shared tablet")


def _fetch(platform: Platform, statement: str, *arguments: Any) -> list[Any]:
    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(platform.database_url)
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    return asyncio.run(fetch())


async def redeliver(platform: Platform) -> None:
    """Have the broker give out again at once what nobody has acknowledged."""
    client = await nats.connect(platform.nats_url)
    try:
        js = client.jetstream()
        config = (await js.consumer_info("INGEST", "identity")).config
        for seconds in (1.0, ACK_WAIT_SECONDS):
            config.ack_wait = seconds
            await js.add_consumer("INGEST", config)
            async with asyncio.timeout(20):
                while (await js.stream_info("INGEST")).state.messages:
                    await asyncio.sleep(0.1)
    finally:
        await client.close()


ATTRIBUTED = """
    SELECT 'identity' AS service, id, via FROM identity.decision WHERE id = ANY($1)
    UNION ALL SELECT 'profile', id, via FROM profile.event WHERE id = ANY($1)
    UNION ALL SELECT 'segments', id, via FROM segments.event WHERE id = ANY($1)
    UNION ALL SELECT 'loyalty', completed_by, via FROM loyalty.purchase WHERE completed_by = ANY($1)
    UNION ALL SELECT 'ledger', p.completed_by, l.via FROM loyalty.purchase p
              JOIN loyalty.posting l ON l.kind = 'earn' AND l.reference = p.order_id WHERE completed_by = ANY($1)"""
SERVICES = ("identity", "profile", "segments", "loyalty", "ledger")
SOURCE = "development"  # whose write key the shop has


def attributed(platform: Platform, orders: list[dict[str, Any]]) -> dict[str, dict[str, list[UUID]]] | None:
    """By order and service, the identifiers that its facts are stored under; None until each service has each order."""
    ids = {digest_uuid(SOURCE, order["messageId"]): order["messageId"] for order in orders}
    found: dict[str, dict[str, list[UUID]]] = {name: {} for name in ids.values()}
    for row in _fetch(platform, ATTRIBUTED, list(ids)):
        found[ids[row["id"]]].setdefault(row["service"], []).append(row["via"])
    complete = all(set(services) == set(SERVICES) for services in found.values())
    return found if complete else None


def spoke(platform: Platform, found: dict[str, dict[str, list[UUID]]], order: dict[str, Any]) -> str:
    """The kind of the identifier that speaks for an order: the tablet, if it was decided before that was shared."""
    [via] = found[order["messageId"]]["identity"]
    return str(_fetch(platform, "SELECT kind FROM identity.identifier WHERE id = $1", via)[0]["kind"])


def shown_alike(shop: Shop, three: Three) -> None:
    """Nothing lost and nothing doubled in what is shown of the merged and of the parted."""
    for customer in three.ones:
        until(lambda: _shows(shop, customer, 4, 40), what=f"{customer} with four orders")  # noqa: B023 (called at once)
    until(lambda: _shows(shop, shop.known(three.parting, "anonymous_id"), 4, 40), what="the parted, with four orders")


def _shows(shop: Shop, customer: str, orders: int, points: int) -> bool:
    shown = shop.get(f"/v1/customers/{customer}")
    account = shop.try_get(f"/v1/loyalty/accounts/{customer}") or {"balance": 0}
    return (shown["orders"]["count"], account["balance"]) == (orders, points)
