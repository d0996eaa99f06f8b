"""Who gets a ticket: rules in order, skills, capacity, presence, the least loaded; and always with the reason."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.loyalty import Tier, TiersChanged
from perennial.common.contracts.segments import Membership, MembershipsChanged
from perennial.common.db import Database, WriteSession
from perennial.common.jobs import run_once
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.service import ServiceRuntime
from perennial.common.testing.plugin import customer
from perennial.tickets.dispatch.models import Agent
from perennial.tickets.jobs import JOBS
from perennial.tickets.main import SERVICE
from perennial.tickets.requests import service
from perennial.tickets.requests.service import Request
from perennial.tickets.requests.telling import Actor

STAFF = Actor("staff", "staff:anna")


async def test_the_first_rule_that_holds_decides(desk: Any) -> None:
    await desk.agent("anna", team="refunds", skills=["german", "refunds"])
    await desk.agent("ben", team="refunds", skills=["refunds"])
    await desk.agent("cleo", team="vip")
    large = {"all": [{"trait": "type", "is": "refund"}, {"trait": "fields.amount", "gt": 100}]}
    await desk.rule("large refunds", large, team="refunds", skills=["german"])
    await desk.rule("refunds", {"trait": "type", "is": "refund"}, team="refunds")
    await desk.rule("the rest", {"everyone": True}, team="vip")
    assert (await desk.ticket(type="refund", fields={"amount": "100.01"}))["assignee"] == "anna"
    assert (await desk.ticket(type="refund", fields={"amount": "100"}))["assignee"] == "ben"
    made = await desk.ticket()
    assert (made["assignee"], made["team"]) == ("cleo", "vip")
    await desk.rule("first of all", {"trait": "priority", "is": "urgent"}, skills=["german"], position=1)
    assert (await desk.ticket(priority="urgent"))["assignee"] == "anna"


async def test_the_decision_is_kept_with_its_reasons(desk: Any) -> None:
    await desk.agent("anna", skills=["chat"])
    await desk.agent("ben", skills=["chat"], online=False)
    await desk.agent("cleo")
    await desk.rule("chats", {"trait": "subject", "contains": "chat"}, skills=["chat"])
    [line] = await desk.events(await desk.ticket(subject="A chat"), "dispatched")
    assert (line["actor"], line["detail"]["assignee"]) == ("system:dispatch", "anna")
    assert line["detail"]["reason"] == "rule chats: anna is the least loaded of those who are free"
    assert line["detail"]["rule"]["because"][0]["value"] == "A chat"
    assert [(one["agent"], one["open"], one["state"]) for one in line["detail"]["candidates"]] == [
        ("anna", 0, "free"),
        ("ben", 0, "offline"),
    ]
    made = await desk.ticket(subject="A chat")
    await desk.act(made, "close", resolution="done")
    none = await desk.ticket(type="refund", subject="chat", priority="low")
    assert none["assignee"] == "anna"


async def test_the_least_loaded_gets_it_and_ties_go_by_name(desk: Any) -> None:
    for name in ("cleo", "anna", "ben"):
        await desk.agent(name, capacity=2)
    got = [(await desk.ticket())["assignee"] for _ in range(7)]
    assert got == ["anna", "ben", "cleo", "anna", "ben", "cleo", None]


async def test_a_ticket_waits_until_somebody_comes_or_becomes_free(desk: Any) -> None:
    made = [await desk.ticket(priority=priority) for priority in ("low", "normal", "urgent")]
    assert {ticket["assignee"] for ticket in made} == {None}
    assert made[0]["dispatch_reason"] == "no rule holds, anybody can have it: there is nobody who could"
    assert made[0]["stage"] == "new"
    await desk.agent("anna", capacity=1, online=False)
    await desk.client.put("/v1/agents/anna/presence", json={"online": True})
    assert [(await desk.shown(ticket))["assignee"] for ticket in made] == [None, None, "anna"]
    await desk.act(made[2], "close", resolution="done")
    assert [(await desk.shown(ticket))["assignee"] for ticket in made] == [None, "anna", "anna"]
    await desk.client.put("/v1/agents/anna/presence", json={"online": False})
    await desk.move(made[1], "resolved", resolution="done")
    assert (await desk.shown(made[0]))["assignee"] is None
    await desk.agent("ben")
    assert (await desk.shown(made[0]))["assignee"] == "ben"
    assert (await desk.shown(made[0]))["stage"] == "assigned"


async def test_a_reopened_ticket_stays_with_its_agent_if_there_is_room(desk: Any) -> None:
    await desk.agent("anna", capacity=1)
    first = await desk.ticket()
    await desk.move(first, "resolved", resolution="done")
    assert (await desk.move(first, "in_progress"))["assignee"] == "anna"
    await desk.move(first, "resolved", resolution="done")
    second = await desk.ticket()
    assert second["assignee"] == "anna"
    assert (await desk.move(first, "in_progress"))["assignee"] is None
    await desk.act(second, "close", resolution="done")
    assert (await desk.shown(first))["assignee"] == "anna"


async def test_by_hand(desk: Any) -> None:
    await desk.agent("anna", capacity=1)
    await desk.agent("ben", capacity=1, online=False)
    first, second = await desk.ticket(), await desk.ticket()
    assert (first["assignee"], second["assignee"]) == ("anna", None)
    refused = await desk.act(second, "assign", 409, assignee="anna")
    assert refused["errors"][0]["pointer"] == "/assignee"
    assert (await desk.act(second, "assign", 422, assignee="nobody"))["errors"][0]["pointer"] == "/assignee"
    assert (await desk.act(second, "assign", assignee="anna", over_capacity=True))["assignee"] == "anna"
    moved = await desk.act(second, "assign", assignee="ben")
    assert (moved["assignee"], moved["stage"]) == ("ben", "assigned")
    assert await desk.act(second, "assign", assignee="ben") == moved
    await desk.act(second, "assign", 409, assignee=None)


async def test_by_tier_and_segment_of_todays_customer(
    desk: Any, runtime: ServiceRuntime, session: WriteSession
) -> None:
    segment = uuid4()
    await desk.agent("anna", team="vip")
    await desk.agent("ben", team="churn")
    await desk.agent("cleo", team="rest")
    await desk.rule("gold", {"trait": "tier", "is": "gold"}, team="vip")
    await desk.rule("leaving", {"segment": str(segment)}, team="churn")
    await desk.rule("rest", {"everyone": True}, team="rest")
    one, other = await desk.customer(), await desk.customer()

    async def hear(*events: Any) -> None:
        await react(runtime, session, reactions_of(SERVICE), events)
        await session.flush()

    def tier(name: str, version: int) -> TiersChanged:
        return TiersChanged(tiers=[Tier(customer=one, tier=name, since=utc_now(), version=version)])

    def member(member: bool, version: int) -> MembershipsChanged:
        said = {"segment_id": segment, "segment_name": "leaving", "customer": other, "since": utc_now()}
        return MembershipsChanged(memberships=[Membership(**said, member=member, version=version)])

    await hear(tier("gold", 2), member(member=True, version=5))
    await hear(tier("silver", 1), member(member=False, version=4))
    assert [(await desk.ticket(via))["assignee"] for via in (one, other)] == ["anna", "ben"]
    merged = await desk.customer(of=one)
    assert (await desk.ticket(merged))["assignee"] == "anna"
    await hear(tier("silver", 3), member(member=False, version=6), tier("gold", 2))
    assert [(await desk.ticket(via))["assignee"] for via in (one, other)] == ["cleo", "cleo"]


async def _open(database: Database, via: UUID) -> str | None:
    async with database.write() as session:
        ticket = await service.open_ticket(session, via, Request("question", "Hi", "Hello", None, {}), STAFF)
        return ticket.assignee


async def _prepared(database: Database, *capacities: int, online: bool = True) -> UUID:
    async with database.write() as session:
        for number, capacity in enumerate(capacities):
            session.add(
                Agent(id=f"a{number}", name="A", team=None, skills=[], capacity=capacity, online=online, version=1)
            )
        return await customer(session)


async def test_many_at_once_never_exceed_capacity(committed: Database) -> None:
    via = await _prepared(committed, 3, 2, 4)
    got = Counter(await asyncio.gather(*(_open(committed, via) for _ in range(14))))
    assert got == {"a0": 3, "a1": 2, "a2": 4, None: 5}


async def test_closing_and_opening_at_once_leaves_nobody_over_capacity_and_no_deadlock(committed: Database) -> None:
    via = await _prepared(committed, 2, 2)
    await asyncio.gather(*(_open(committed, via) for _ in range(10)))

    async def close(ticket: UUID) -> None:
        async with committed.write() as session:
            await service.close(session, await service.find(session, ticket, locked=True), "done", STAFF)

    async def check() -> Counter[str | None]:
        async with committed.read() as session:
            rows = await session.execute(text("SELECT assignee FROM ticket WHERE state = 'open'"))
            found = Counter(rows.scalars())
        assert all(count <= 2 for agent, count in found.items() if agent)
        return found

    async with committed.read() as session:
        ids = list((await session.execute(text("SELECT id FROM ticket ORDER BY id"))).scalars())
    await asyncio.gather(*(close(ticket) for ticket in ids[:6]), *(_open(committed, via) for _ in range(4)))
    found = await check()
    assert (found["a0"], found["a1"], found.total()) == (2, 2, 8)


async def test_the_job_gives_out_what_was_left(offline: ServiceRuntime, committed: Database) -> None:
    via = await _prepared(committed, 1, online=False)
    assert await _open(committed, via) is None
    async with committed.write() as session:
        await session.execute(text("UPDATE agent SET online = true"))
    assert await run_once(offline, JOBS[0])
    async with committed.read() as session:
        assert list((await session.execute(text("SELECT assignee FROM ticket"))).scalars()) == ["a0"]
