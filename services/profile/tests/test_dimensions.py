"""The five dimensions of the 360: what other services say of a customer, and the time at which it was true."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted, MessageSent, MessageSuppressed
from perennial.common.contracts.identity import CustomersMerged
from perennial.common.contracts.tickets import TicketBreached, TicketClosed, TicketMoved, TicketOpened, TicketRated
from perennial.common.identifiers import blind_index
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked

Hear = Callable[..., Awaitable[None]]
Show = Callable[..., Awaitable[Any]]
Assign = Callable[..., Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def shown_at(number: int) -> str:
    return hour(number).isoformat().replace("+00:00", "Z")


def request(via: UUID, ticket_id: UUID, version: int, contract: Any = TicketMoved, **more: Any) -> Any:
    said = {"type": "refund", "stage": f"stage {version}", "open": True, "priority": "high", "previous": "new", **more}
    return contract(
        ticket_id=ticket_id, via=via, customer=via, version=version, occurred_at=hour(version), **said
    )  # fmt: skip


def message(contract: Any, via: UUID, channel: str, number: int, **more: Any) -> Any:
    own = {"message_id": uuid7(), "journey_id": uuid7(), "via": via, "customer": via}
    return contract(**own, channel=channel, occurred_at=hour(number), **more)


async def test_who_it_is(hear: Hear, get: Show, assign: Assign) -> None:
    one, mail, other = uuid7(), uuid7(), uuid7()
    for via, customer, kind in ((one, one, "user_id"), (mail, one, "email"), (other, other, "email")):
        digest = blind_index(bytes.fromhex("11" * 32), kind, str(via)).hex()
        await assign(customer, via, version=1, kind=kind, digest=digest)
    await hear(tracked("A", via=mail, at=NOON), tracked("B", via=other, at=hour(5)))
    assert (await get(f"/v1/customers/{one}"))["identity"]["merged_from"] == []
    await assign(one, other, version=2)
    await hear(CustomersMerged(merge_id=uuid7(), survivor=one, merged=other, kind="manual"))
    identity = (await get(f"/v1/customers/{other}"))["identity"]
    assert identity.pop("as_of") is not None
    assert identity == {
        "identifiers": {"email": 2, "user_id": 1},
        "first_seen": shown_at(0),
        "last_seen": shown_at(5),
        "merged_from": [str(other)],
    }
    await assign(other, other, version=3)
    for via in (one, other):
        assert (await get(f"/v1/customers/{via}"))["identity"]["merged_from"] == []


async def test_what_they_did(hear: Hear, get: Show, assign: Assign) -> None:
    one, other = uuid7(), uuid7()
    await hear(
        *(tracked("Product Viewed", via=one, at=hour(n), source="web") for n in range(8)),
        *(tracked("Searched", via=other, at=hour(n) + timedelta(minutes=1), source="app") for n in range(8)),
        tracked("Searched", via=other, at=hour(20), source="till"),
    )
    await hear(tracked("Searched", via=other, at=hour(-1), source="app"))
    await assign(one, other, version=2)
    behaviour = (await get(f"/v1/customers/{one}"))["behaviour"]
    assert (behaviour["events"], behaviour["sources"]) == (18, ["app", "till", "web"])
    assert behaviour["counters"]["Searched"]["count"] == 10
    recent = behaviour["recent"]
    assert [item["at"] for item in recent] == sorted((item["at"] for item in recent), reverse=True)
    assert (len(recent), recent[0]["source"], recent[0]["name"]) == (10, "till", "Searched")


async def test_what_they_asked_for_and_how_it_went(hear: Hear, get: Show) -> None:
    via, urgent, done = uuid7(), uuid7(), uuid7()
    await hear(tracked("A", via=via, at=NOON))
    facts = [
        request(via, urgent, 1, TicketOpened),
        request(via, urgent, 2, TicketBreached, target="first_response", due_at=NOON),
        request(via, urgent, 3, TicketBreached, target="resolution", due_at=NOON),
        request(via, urgent, 4),
        request(via, done, 1, TicketOpened),
        request(via, done, 5, TicketClosed, open=False, resolution="refunded"),
        request(via, done, 6, TicketRated, open=False, score=4),
    ]
    await hear(*facts[::-2])
    await hear(*facts[-2::-2])
    await hear(*facts)
    service = (await get(f"/v1/customers/{via}"))["service"]
    assert service["requests"] == [
        {
            "id": str(urgent), "type": "refund", "stage": "stage 4", "priority": "high", "opened_at": shown_at(1),
            "breached": "first_response", "breached_at": shown_at(2), "as_of": shown_at(4),
        }
    ]  # fmt: skip
    assert service["ratings"] == [{"ticket_id": str(done), "type": "refund", "score": 4, "at": shown_at(6)}]
    assert (service["open"], service["as_of"]) == (1, shown_at(6))


async def test_what_they_were_told(hear: Hear, get: Show, assign: Assign, runtime: Runtime) -> None:
    one, other = uuid7(), uuid7()
    await hear(tracked("A", via=one, at=NOON), tracked("A", via=other, at=NOON))
    await hear(
        message(MessageSent, one, "email", 3),
        message(MessageSuppressed, one, "email", 4, reason="quiet_hours"),
    )
    await hear(
        message(MessageSent, one, "email", 1),
        message(MessageSuppressed, one, "email", 2, reason="no_consent"),
        message(MessageSent, other, "email", 5),
        message(MessageSent, other, "sms", 6),
    )
    await assign(one, other, version=2)
    shown = await get(f"/v1/customers/{one}")
    assert shown["messages"] == {"sent": 4}
    assert shown["service"]["messages"] == [
        {
            "channel": "email", "sent": 3, "suppressed": 2, "last_sent_at": shown_at(5),
            "last_suppressed_at": shown_at(4), "last_reason": "quiet_hours",
        },
        {
            "channel": "sms", "sent": 1, "suppressed": 0, "last_sent_at": shown_at(6), "last_suppressed_at": None,
            "last_reason": None,
        },
    ]  # fmt: skip
    assert shown["service"]["as_of"] == shown_at(6)


async def test_which_journeys_they_are_on(hear: Hear, get: Show) -> None:
    via, journey, under_way, over = (uuid7() for _ in range(4))
    await hear(tracked("A", via=via, at=NOON))
    own: dict[str, Any] = {"journey_id": journey, "via": via, "customer": via}
    ended = EnrolmentEnded(enrolment_id=over, reason="goal", occurred_at=hour(9), **own)
    await hear(ended)
    await hear(
        EnrolmentStarted(enrolment_id=over, journey_version=1, occurred_at=hour(1), **own),
        EnrolmentStarted(enrolment_id=under_way, journey_version=1, occurred_at=hour(2), **own),
    )
    journeys = (await get(f"/v1/customers/{via}"))["journeys"]
    assert journeys == [
        {
            "enrolment_id": str(under_way), "journey_id": str(journey), "started_at": shown_at(2), "ended_at": None,
            "reason": None, "as_of": shown_at(2),
        },
        {
            "enrolment_id": str(over), "journey_id": str(journey), "started_at": shown_at(1), "ended_at": shown_at(9),
            "reason": "goal", "as_of": shown_at(9),
        },
    ]  # fmt: skip


async def test_the_customers_own_view_tells_no_internals(
    hear: Hear, client: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    via = uuid7()
    await hear(identified({"city": "Rome"}, via=via, at=NOON))
    await hear(
        request(via, uuid7(), 1, TicketOpened),
        message(MessageSent, via, "email", 3),
        EnrolmentStarted(enrolment_id=uuid7(), journey_id=uuid7(), journey_version=1, via=via, customer=via),
    )
    own = (await client.get("/v1/me", headers={"Authorization": f"Bearer {token(via=via)}"})).json()
    assert set(own) == {"id", "traits", "orders", "loyalty", "coupons", "tickets", "first_seen", "last_seen", "links"}
    [ticket] = own["tickets"]["requests"]
    assert set(ticket) == {"id", "type", "stage", "opened_at", "as_of"}
