"""Customers: the 360 over all identifiers, lists, search, and who may see what."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from perennial.common.contracts.campaigns import MessageSent
from perennial.common.contracts.loyalty import Account, AccountsChanged, ExpiryAnnounced, Tier, TiersChanged
from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.contracts.tickets import TicketClosed, TicketMoved, TicketOpened
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Derive = Callable[[], Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def points(via: UUID, balance: int, version: int, pending: int = 0) -> AccountsChanged:
    account = Account(via=via, balance=balance, pending=pending, version=version)
    return AccountsChanged(accounts=[account], occurred_at=NOON + timedelta(hours=version))


def tier(customer: UUID, name: str, version: int) -> TiersChanged:
    return TiersChanged(tiers=[Tier(customer=customer, tier=name, since=NOON, version=version)], occurred_at=NOON)


def membership(customer: UUID, segment: UUID, name: str, version: int, *, member: bool = True) -> MembershipsChanged:
    said = Membership(
        segment_id=segment, segment_name=name, customer=customer, member=member, since=NOON, version=version
    )
    return MembershipsChanged(memberships=[said], occurred_at=NOON + timedelta(hours=version))


def ticket(kind: Any, via: UUID, ticket_id: UUID, version: int, *, open: bool, **extra: str) -> Any:
    return kind(
        ticket_id=ticket_id, via=via, customer=via, type="refund", stage="new", open=open, priority="normal",
        version=version, **extra,
    )  # fmt: skip


def sent(via: UUID) -> MessageSent:
    return MessageSent(message_id=uuid7(), journey_id=uuid7(), channel="email", via=via, customer=via)


async def test_a_customer_nobody_told_anything_about_is_empty(
    hear: Hear, get: Show, assign: Callable[..., Awaitable[None]]
) -> None:
    via = uuid7()
    await assign(via, via, version=1)
    orders = {
        "count": 0, "gmv": "0.00", "refunded": "0.00", "aov": None, "currency": "USD", "last_order_at": None,
        "other_currencies": [],
    }  # fmt: skip
    shown = await get(f"/v1/customers/{via}")
    now = shown["identity"].pop("as_of")
    assert abs(datetime.fromisoformat(now) - datetime.now(UTC)) < timedelta(minutes=1)
    assert shown == {
        "id": str(via),
        "first_seen": None,
        "last_seen": None,
        "identity": {"identifiers": {"unknown": 1}, "first_seen": None, "last_seen": None, "merged_from": []},
        "behaviour": {"events": 0, "last_seen": None, "sources": [], "counters": {}, "recent": [], "as_of": now},
        "transactions": {**orders, "as_of": now},
        "service": {"open": 0, "requests": [], "ratings": [], "messages": [], "as_of": None},
        "attributes": {"traits": {}, "computed": {}, "tags": [], "stage": None, "as_of": None},
        "loyalty": None,
        "coupons": {"total": 0, "items": [], "as_of": None},
        "segments": [],
        "journeys": [],
        "consents": [],
        "traits": {},
        "trait_details": {},
        "counters": {},
        "orders": orders,
        "tickets": {"open": 0},
        "messages": {"sent": 0},
    }
    assert (await get(f"/v1/customers/{via}/events"))["items"] == []


async def test_sections_are_what_the_other_services_said_last(hear: Hear, get: Show) -> None:
    one, two, vip, lost, request = (uuid7() for _ in range(5))
    await hear(tracked("A", via=one, at=NOON), tracked("B", via=two, customer=one, at=NOON))
    said = [
        points(one, 100, 3, pending=5), points(one, 1, 2), points(two, 40, 1),
        tier(one, "gold", 2), tier(one, "silver", 1),
        membership(one, vip, "VIP", 2), membership(one, vip, "old name", 1, member=False),
        membership(one, lost, "Lost", 1), membership(one, lost, "Lost", 3, member=False),
        ticket(TicketClosed, one, request, 3, open=False, resolution="done"),
        ticket(TicketOpened, one, request, 1, open=True),
        ticket(TicketMoved, one, request, 2, open=True, previous="new"),
        ticket(TicketOpened, two, uuid7(), 1, open=True),
        sent(one), sent(two), sent(two),
    ]  # fmt: skip
    for facts in (said[::2], said[1::2], said[:13]):
        await hear(*facts)
    shown = await get(f"/v1/customers/{two}")
    assert shown["loyalty"] == {
        "balance": 140,
        "pending": 5,
        "wallets": {"points": {"balance": 140, "pending": 5, "expiring": []}},
        "tier": "gold",
        "as_of": "2026-05-01T15:00:00Z",
    }
    assert shown["segments"] == [
        {"id": str(vip), "name": "VIP", "since": "2026-05-01T12:00:00Z", "as_of": "2026-05-01T14:00:00Z"}
    ]
    assert (shown["tickets"], shown["messages"]) == ({"open": 1}, {"sent": 3})


def ending(via: UUID, amount: int, days: int, said: int = 0, **more: Any) -> ExpiryAnnounced:
    """So many points that end in so many days, as announced so many minutes after the others."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return ExpiryAnnounced(
        via=via, customer=via, currency="points", points=amount, days=days, expires_at=today + timedelta(days=days),
        occurred_at=NOON + timedelta(minutes=said), **more,
    )  # fmt: skip


async def test_points_that_expire_are_shown_as_they_were_announced(hear: Hear, get: Show, assign: Any) -> None:
    one, two = uuid7(), uuid7()
    await hear(tracked("A", via=one, at=NOON), tracked("B", via=two, at=NOON))
    await hear(points(one, 100, 1), points(two, 50, 1))
    facts = [
        ending(one, 40, 7),
        ending(one, 30, 7, said=5),
        ending(one, 60, 40),
        ending(one, 99, -2),
        ending(two, 20, 7),
    ]
    await hear(*facts[::-1])
    await hear(*facts)
    wallet = (await get(f"/v1/customers/{one}"))["loyalty"]["wallets"]["points"]
    assert [item["points"] for item in wallet["expiring"]] == [30, 60], (
        "the newest announcement, and nothing that is over"
    )
    assert wallet["expiring"][0]["as_of"] == "2026-05-01T12:05:00Z"
    await assign(one, two, version=2)
    wallet = (await get(f"/v1/customers/{one}"))["loyalty"]["wallets"]["points"]
    assert [item["points"] for item in wallet["expiring"]] == [50, 60]
    await hear(points(one, 10, 2), points(two, 45, 2))
    wallet = (await get(f"/v1/customers/{one}"))["loyalty"]["wallets"]["points"]
    assert [item["points"] for item in wallet["expiring"]] == [50, 5], "never more than there is"
    await hear(points(one, 0, 3), points(two, 0, 3))
    assert (await get(f"/v1/customers/{one}"))["loyalty"]["wallets"]["points"]["expiring"] == []


async def test_a_tier_without_points_is_shown(hear: Hear, get: Show) -> None:
    via = uuid7()
    await hear(tracked("A", via=via), tier(via, "member", 1))
    loyalty = (await get(f"/v1/customers/{via}"))["loyalty"]
    assert loyalty == {
        "balance": 0,
        "pending": 0,
        "wallets": {},
        "tier": "member",
        "as_of": "2026-05-01T12:00:00Z",
    }


async def test_a_merge_and_its_undo_need_nothing_but_the_map(
    hear: Hear, get: Show, assign: Callable[..., Awaitable[None]]
) -> None:
    """Both sides before = both sides after the undo, to the byte, though facts kept coming in between."""
    web, mail, shop = uuid7(), uuid7(), uuid7()
    await hear(
        identified({"plan": "pro", "city": "Rome"}, via=web, at=NOON),
        identified({"plan": "free", "phone": "1"}, via=mail, customer=web, at=NOON - timedelta(days=1)),
        identified({"plan": "vip", "age": 40}, via=shop, at=NOON + timedelta(days=1)),
        *(
            tracked("Order Completed", {"order_id": n, "revenue": 10}, via=via, customer=customer)
            for n, (via, customer) in enumerate(((web, web), (mail, web), (shop, shop)))
        ),
        points(web, 10, 1), points(shop, 7, 1), ticket(TicketOpened, shop, uuid7(), 1, open=True), sent(mail),
        customer_tier := tier(shop, "gold", 1),
    )  # fmt: skip
    before = [await everything(get, via) for via in (web, mail, shop)]
    assert before[0]["view"] == before[1]["view"]
    assert (before[0]["view"]["traits"], before[0]["view"]["orders"]["gmv"]) == (
        {"plan": "pro", "city": "Rome", "phone": "1"},
        "20.00",
    )

    await assign(web, shop, version=2)
    merged = await everything(get, shop)
    assert merged == await everything(get, mail)
    view = merged["view"]
    assert view["id"] == str(web)
    assert view["traits"] == {"plan": "vip", "city": "Rome", "phone": "1", "age": 40}
    assert (view["orders"]["gmv"], view["loyalty"]["balance"], view["tickets"]["open"]) == ("30.00", 17, 1)
    assert view["counters"]["Order Completed"]["count"] == 3
    assert [item["id"] for item in (await get("/v1/customers"))["items"]] == [str(web)]
    assert (await get("/v1/customers", **{"trait.plan": "vip"}))["items"][0]["id"] == str(web)
    assert (await get("/v1/customers", **{"trait.plan": "pro"}))["items"] == []

    await assign(shop, shop, version=3)
    await assign(web, shop, version=2)
    await hear(customer_tier)
    assert [await everything(get, via) for via in (web, mail, shop)] == before


async def everything(get: Show, via: UUID) -> Any:
    view = await get(f"/v1/customers/{via}")
    for section in ("identity", "behaviour", "transactions", "attributes"):
        view[section].pop("as_of")  # now
    return {"view": view, "events": await get(f"/v1/customers/{via}/events")}


async def test_the_list_is_every_customer_once_in_stable_pages(hear: Hear, derive: Derive, get: Show) -> None:
    vias = [uuid7() for _ in range(7)]
    await hear(
        *(identified({"n": n}, via=via) for n, via in enumerate(vias)), tracked("A", via=uuid7(), customer=vias[0])
    )
    await derive()
    first = await get("/v1/customers", limit=3)
    await hear(tracked("New", via=uuid7()))
    await derive()
    rest = await get("/v1/customers", limit=3, cursor=first["next_cursor"])
    last = await get("/v1/customers", limit=3, cursor=rest["next_cursor"])
    items = first["items"] + rest["items"] + last["items"]
    assert [item["traits"].get("n") for item in items] == [0, 1, 2, 3, 4, 5, 6, None]
    assert (items[0]["events"], items[1]["events"], last["next_cursor"]) == (2, 1, None)
    assert await get("/v1/customers/summary") == {"customers": 8, "events": 9}


async def test_the_customer_who_has_an_identifier(
    hear: Hear, get: Show, assign: Callable[..., Awaitable[None]]
) -> None:
    via, mail = uuid7(), uuid7()
    key = bytes.fromhex("11" * 32)
    await assign(via, via, version=1, kind="user_id", digest=blind_index(key, "user_id", "u 1").hex())
    await assign(via, mail, version=1, kind="email", digest=blind_index(key, "email", "ada@example.com").hex())
    for identifier in ("email: ADA@example.com", "user_id:u 1"):
        assert [item["id"] for item in (await get("/v1/customers", identifier=identifier))["items"]] == [str(via)]
    for identifier in ("user_id:ada@example.com", "phone:+14155550100"):
        assert await get("/v1/customers", identifier=identifier) == {"items": [], "next_cursor": None}


async def test_customers_see_themselves_only_also_after_a_merge(
    hear: Hear, client: httpx.AsyncClient, token: Callable[..., str], assign: Callable[..., Awaitable[None]]
) -> None:
    web, shop, stranger = uuid7(), uuid7(), uuid7()
    await hear(*(identified({"n": n}, via=via, at=NOON + timedelta(n)) for n, via in enumerate((web, shop, stranger))))

    async def me(via: UUID) -> Any:
        response = await client.get("/v1/me", headers={"Authorization": f"Bearer {token(via=via)}"})
        return response.json() if response.status_code == 200 else response.status_code

    assert ((await me(shop))["id"], (await me(shop))["traits"]) == (str(shop), {"n": 1})
    await assign(web, shop, version=2)
    assert ((await me(shop))["id"], (await me(shop))["traits"]) == (str(web), {"n": 1})
    assert (await me(stranger))["traits"] == {"n": 2}
    assert await me(uuid7()) == 404
    assert set(await me(shop)) == {
        "id", "traits", "orders", "loyalty", "coupons", "tickets", "first_seen", "last_seen", "links",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/customers/summary", "/v1/events/x", "/v1/orders/summary"])
async def test_customers_and_strangers_see_no_others(
    client: httpx.AsyncClient, token: Callable[..., str], path: str
) -> None:
    for header in (token(via=uuid7()), token("tickets:write")):
        assert (await client.get(path, headers={"Authorization": f"Bearer {header}"})).status_code == 403
    assert (await client.get(path, headers={"Authorization": "Bearer junk"})).status_code == 401
    assert (await client.get("/v1/me")).status_code == 403


BAD = [
    ("/v1/customers/not-a-uuid", "path/id"),
    ("/v1/customers/00000000-0000-7000-8000-000000000000", "path/id"),
    ("/v1/customers/00000000-0000-7000-8000-000000000000/events", "path/id"),
    ("/v1/customers?identifier=shoe_size:42", "query/identifier"),
    ("/v1/customers?identifier=email:nobody", "query/identifier"),
    ("/v1/customers?identifier=user_id:null", "query/identifier"),
    ("/v1/customers?identifier=user_id:a%00", "query/identifier"),
    ("/v1/customers?q=", "query/q"),
    ("/v1/customers?q=a%00b", "query/q"),
    ("/v1/customers?q=a&identifier=user_id:1", "query/identifier"),
    ("/v1/customers?limit=0", "query/limit"),
    ("/v1/customers?limit=201", "query/limit"),
    ("/v1/customers?cursor=junk", "query/cursor"),
    ("/v1/customers?cursor=WzFd", "query/cursor"),
    ("/v1/customers/{id}/events?cursor=WyJ4IiwgMV0", "query/cursor"),
    ("/v1/customers/{id}/events?cursor=WyIyMDI2LTAxLTAxIiwgMV0", "query/cursor"),
    ("/v1/customers/{id}/events?type=purchase", "query/type"),
    ("/v1/customers/{id}/events?name=%00", "query/name"),
    ("/v1/customers/{id}/events?from=yesterday", "query/from"),
    ("/v1/customers/{id}/events?to=2026-01-01T00:00:00", "query/to"),
    ("/v1/customers/{id}/events?to=9999-12-31T23:59:59-10:00", "query/to"),
    ("/v1/customers/{id}/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "query/from"),
    ("/v1/events/" + "x" * 101, "path/message_id"),
    ("/v1/events/x?source=%00", "query/source"),
    ("/v1/orders/summary?timezone=Mars/Olympus", "query/timezone"),
    ("/v1/orders/summary?timezone=../etc/passwd", "query/timezone"),
    ("/v1/orders/summary?timezone=America", "query/timezone"),
]


@pytest.mark.parametrize(("path", "pointer"), BAD)
async def test_bad_input_is_named(hear: Hear, client: httpx.AsyncClient, path: str, pointer: str) -> None:
    via = uuid7()
    await hear(tracked("A", via=via))
    response = await client.get(path.replace("{id}", str(via)))
    assert response.status_code in {400, 404, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert pointer.split("/")[1] in problem["detail"]
