"""The timeline of everything: what services say of a customer stands among the customer's own events."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from perennial.common.contracts import catalogue
from perennial.common.contracts.base import Event
from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted, MessageSent, MessageSuppressed
from perennial.common.contracts.identity import CustomersMerged, CustomersSeparated, IdentifierShared
from perennial.common.contracts.loyalty import (
    PointsEarned,
    PointsReturned,
    PointsReversed,
    PointsSpent,
    RedemptionCancelled,
    RedemptionConfirmed,
    RedemptionExpired,
    RedemptionFulfilled,
    RedemptionReserved,
    TierChanged,
)
from perennial.common.contracts.segments import MembershipEntered, MembershipExited
from perennial.common.contracts.tickets import (
    TicketAssigned,
    TicketBreached,
    TicketClosed,
    TicketMoved,
    TicketOpened,
    TicketRated,
)
from perennial.common.db import WriteSession
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.profile import worker
from perennial.profile.tags import main as tags
from perennial.profile.timeline import kinds

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
PURPOSE = text("""
    INSERT INTO consent_purpose (key, position, labels, channels, legal_basis, separate, cross_border)
    VALUES ('marketing', 0, '{"en": "News"}', '{email}', 'consent', false, false) ON CONFLICT DO NOTHING""")
REFERENCE = "order of ann@example.com"


def told(via: UUID) -> list[Event]:
    """One fact of every contract that the timeline hears, an hour apart."""
    hours = iter(range(1, 100))
    made: list[Event] = []

    def say(contract: type[Event], **fields: Any) -> None:
        made.append(contract(occurred_at=NOON + timedelta(hours=next(hours)), **fields))

    own = {"via": via, "customer": via}
    message = {"message_id": uuid7(), "journey_id": uuid7(), "channel": "email", **own}
    say(MessageSent, **message)
    say(MessageSuppressed, **message, reason="quiet_hours")
    enrolment = {"enrolment_id": uuid7(), "journey_id": uuid7(), **own}
    say(EnrolmentStarted, **enrolment, journey_version=1)
    say(EnrolmentEnded, **enrolment, reason="completed")
    points = {"posting_id": uuid7(), "points": 5, "reference": REFERENCE, **own}
    say(PointsEarned, **points, reason="call +86 139 8765 4321")
    say(PointsSpent, **points, reason="reward")
    say(PointsReversed, **points)
    say(PointsReturned, **points)
    taken = {"redemption_id": uuid7(), "reward_id": uuid7(), "kind": "coupon", "points": 5, "currency": "points", **own}
    taken |= {"amount": "9.90", "money": "EUR", "reward_name": {"en": "Coffee"}}
    say(RedemptionReserved, **taken, version=1, expires_at=NOON)
    say(RedemptionConfirmed, **taken, version=2, payment_reference=REFERENCE)
    say(RedemptionFulfilled, **taken, version=3)
    say(RedemptionCancelled, **taken, version=4, payment_reference=REFERENCE)
    say(RedemptionExpired, **taken, version=5)
    say(TierChanged, customer=via, tier="gold", previous="silver", version=2)
    segment = {"segment_id": uuid7(), "segment_name": "VIP", "customer": via, "version": 1}
    say(MembershipEntered, **segment)
    say(MembershipExited, **segment)
    ticket = {"ticket_id": uuid7(), "type": "refund", "stage": "new", "open": True, "priority": "high", **own}
    say(TicketOpened, **ticket, version=1)
    say(TicketAssigned, **ticket, version=2, assignee="agent@example.com")
    say(TicketMoved, **ticket, version=3, previous="new")
    say(TicketClosed, **ticket, version=4, resolution="Ann wanted her money back")
    say(TicketBreached, **ticket, version=5, target="first_response", due_at=NOON)
    say(TicketRated, **ticket, version=6, score=2)
    say(CustomersMerged, merge_id=uuid7(), survivor=via, merged=uuid7(), kind="auto")
    say(CustomersSeparated, merge_id=uuid7(), survivor=via, separated=uuid7())
    say(IdentifierShared, **own, met=3)
    return made


@pytest.fixture
async def via(hear: Hear) -> UUID:
    """A customer of whom every service has said something; the facts came late and in the wrong order."""
    via = uuid7()
    facts = told(via)
    await hear(tracked("Product Viewed", via=via, at=NOON))
    await hear(*facts[::-2])
    await hear(*facts[-2::-2])
    return via


def test_there_is_one_of_every_fact() -> None:
    assert {type(fact) for fact in told(uuid7())} == set(worker.TOLD)
    spoken = {subject.split(".")[1] for subject, contract in catalogue().items() if contract in worker.TOLD}
    assert {kinds.NOUNS.get(noun, noun) for noun in spoken} <= set(kinds.KINDS)


async def test_everything_in_one_list_newest_first(via: UUID, get: Show) -> None:
    items = (await get(f"/v1/customers/{via}/timeline"))["items"]
    assert [item["name"] for item in items] == [
        "identity.shared", "identity.separated", "identity.merged", "ticket.rated", "ticket.breached", "ticket.closed",
        "ticket.moved", "ticket.assigned", "ticket.opened", "segment.exited", "segment.entered", "tier.changed",
        "redemption.expired", "redemption.cancelled", "redemption.fulfilled", "redemption.confirmed",
        "redemption.reserved", "points.returned", "points.reversed", "points.spent", "points.earned",
        "journey.ended", "journey.started", "message.suppressed", "message.sent", "Product Viewed",
    ]  # fmt: skip
    assert items == sorted(items, key=lambda item: item["at"], reverse=True)
    suppressed = items[-3]
    assert (suppressed["kind"], suppressed["source"], suppressed["data"]["reason"]) == (
        "message", "campaigns", "quiet_hours",
    )  # fmt: skip
    assert [item["name"] for item in (await get(f"/v1/customers/{via}/events"))["items"]] == ["Product Viewed"]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"kind": "event"}, 1),
        ({"kind": "ticket"}, 6),
        ({"kind": "points"}, 4),
        ({"kind": "redemption"}, 5),
        ({"kind": "consent"}, 0),
        ({"name": "points.earned"}, 1),
        ({"name": "Product Viewed"}, 1),
        ({"source": "loyalty"}, 10),
        ({"source": "shop"}, 1),
        ({"source": "loyalty", "kind": "tier"}, 1),
        ({"to": "2026-05-01T14:00:00Z"}, 3),
        ({"from": "2026-05-02T12:00:00Z", "kind": "identity"}, 2),
    ],
)
async def test_filters(via: UUID, get: Show, wanted: dict[str, str], count: int) -> None:
    assert len((await get(f"/v1/customers/{via}/timeline", **wanted))["items"]) == count


async def test_pages_end_where_the_next_begins(via: UUID, get: Show) -> None:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await get(f"/v1/customers/{via}/timeline", limit=3, **cursor)
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert (len(found), len(set(found))) == (26, 26)


async def test_what_is_shown_of_it_depends_on_who_asks(
    via: UUID, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    async def seen(*fields: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token('customers:read', fields=fields)}"}
        answer = await client.get(f"/v1/customers/{via}/timeline", headers=headers)
        return {item["name"]: item["data"] for item in answer.json()["items"]}

    masked, clear = await seen(), await seen("*")
    assert clear["ticket.closed"]["resolution"] == "Ann wanted her money back"
    assert masked["ticket.closed"]["resolution"] == "****"
    assert clear["points.earned"]["reference"] == REFERENCE
    assert "ann@example.com" not in str(masked)
    assert "8765" not in str(masked)
    assert masked["ticket.rated"]["score"] == 2


async def test_a_merge_and_its_undo_move_nothing(hear: Hear, get: Show, assign: Callable[..., Awaitable[None]]) -> None:
    one, other = uuid7(), uuid7()
    for via in (one, other):
        await assign(via, via, version=1)
        await hear(*told(via))
    before = [await get(f"/v1/customers/{via}/timeline") for via in (one, other)]
    await assign(one, other, version=2)
    merged = (await get(f"/v1/customers/{one}/timeline", limit=100))["items"]
    assert {item["id"] for item in merged} == {item["id"] for page in before for item in page["items"]}
    await assign(other, other, version=3)
    assert [await get(f"/v1/customers/{via}/timeline") for via in (one, other)] == before


async def test_a_split_stands_in_both_timelines(hear: Hear, get: Show, assign: Callable[..., Awaitable[None]]) -> None:
    one, other = uuid7(), uuid7()
    await assign(one, one, version=1)
    await assign(other, other, version=1)
    await hear(CustomersSeparated(merge_id=uuid7(), survivor=one, separated=other, occurred_at=NOON))
    ids = {via: [item["id"] for item in (await get(f"/v1/customers/{via}/timeline"))["items"]] for via in (one, other)}
    assert len({*ids[one], *ids[other]}) == 2


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("kind=shoe", "query/kind"),
        ("name=%00", "query/name"),
        ("source=%00", "query/source"),
        ("cursor=WzFd", "query/cursor"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "query/from"),
    ],
)
async def test_bad_input_is_named(via: UUID, client: httpx.AsyncClient, query: str, pointer: str) -> None:
    answer = await client.get(f"/v1/customers/{via}/timeline?{query}")
    assert answer.status_code in {400, 422}
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get(f"/v1/customers/{uuid7()}/timeline")).status_code == 404


async def test_tags_and_stages_that_change_are_in_it(
    hear: Hear, derive: Callable[[], Awaitable[None]], get: Show, runtime: Runtime
) -> None:
    await tags.seed(runtime)
    via = uuid7()
    order = {"order_id": "1", "revenue": "10", "currency": "USD"}
    await hear(identified({"city": "Rome"}, via=via), tracked("Order Completed", order, via=via))
    await derive()
    items = (await get(f"/v1/customers/{via}/timeline"))["items"]
    by_name = {item["name"]: item for item in items}
    assert {"stage.changed", "tag.changed"} <= by_name.keys()
    shown = await get(f"/v1/customers/{via}")
    assert by_name["stage.changed"]["data"]["stage"] == shown["attributes"]["stage"]
    assert by_name["tag.changed"]["data"]["added"] == shown["attributes"]["tags"]
    await derive()
    assert (await get(f"/v1/customers/{via}/timeline"))["items"] == items


async def test_what_an_import_changes_is_no_news(
    hear: Hear, derive: Callable[[], Awaitable[None]], get: Show, runtime: Runtime
) -> None:
    await tags.seed(runtime)
    via = uuid7()
    order = {"order_id": "1", "revenue": "10", "currency": "USD"}
    await hear(tracked("Order Completed", order, via=via, live=False))
    await derive()
    assert (await get(f"/v1/customers/{via}"))["attributes"]["stage"] is not None
    assert [item["kind"] for item in (await get(f"/v1/customers/{via}/timeline"))["items"]] == ["event"]


async def test_a_consent_is_in_it_once(hear: Hear, get: Show, begun: WriteSession) -> None:
    via = uuid7()
    await begun.execute(PURPOSE)
    said = tracked("Consent Given", {"purpose": "marketing", "channel": "email"}, via=via, at=NOON)
    await hear(said)
    await hear(said)
    [given] = (await get(f"/v1/customers/{via}/timeline", kind="consent"))["items"]
    assert (given["name"], given["at"], given["data"]["channel"]) == ("consent.given", "2026-05-01T12:00:00Z", "email")


async def test_an_entry_that_is_announced_on_request_has_happened_before(hear: Hear, get: Show) -> None:
    via = uuid7()
    fields: dict[str, Any] = {"segment_id": uuid7(), "segment_name": "VIP", "customer": via, "version": 1}
    await hear(tracked("Product Viewed", via=via, at=NOON), MembershipEntered(occurred_at=NOON, **fields))
    await hear(MembershipEntered(occurred_at=NOON, announced=True, **fields))
    items = (await get(f"/v1/customers/{via}/timeline"))["items"]
    assert sorted(item["name"] for item in items) == ["Product Viewed", "segment.entered"]
