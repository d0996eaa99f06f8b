"""Promises: due by the calendar, resting while the customer is waited for, broken once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.common import firing, timers
from perennial.common.contracts.base import utc_now
from perennial.common.db import Database, WriteSession
from perennial.common.service import ServiceRuntime
from perennial.common.testing.plugin import customer
from perennial.tickets.requests import service
from perennial.tickets.requests.service import Request
from perennial.tickets.requests.telling import Actor
from perennial.tickets.sla.service import TIMER

STAFF = Actor("staff", "staff:anna")


class Time:
    """Lets time pass, by moving what is stored into the past."""

    def __init__(self, session: WriteSession) -> None:
        self.session = session

    async def passes(self, **span: float) -> None:
        for table, columns in {
            "ticket": ("opened_at", "first_response_at", "resolved_at", "closed_at"),
            "sla_clock": ("due_at", "met_at", "breached_at"),
            "sla_interval": ("started_at", "ended_at"),
            "timer": ("due_at",),
        }.items():
            moved = ", ".join(f"{column} = {column} - CAST(:span AS interval)" for column in columns)
            await self.session.execute(text(f"UPDATE {table} SET {moved}"), {"span": timedelta(**span)})


@pytest.fixture
def time(session: WriteSession) -> Time:
    return Time(session)


def left(ticket: dict[str, Any], target: str = "resolution") -> float:
    """Minutes until a promise is broken."""
    due = datetime.fromisoformat(ticket[f"{target}_due_at"])
    return (due - datetime.now(UTC)) / timedelta(minutes=1)


async def fire(session: WriteSession) -> int:
    """What the timer loop does with timers that are due."""
    rows = await session.execute(
        text("DELETE FROM timer WHERE due_at <= now() RETURNING kind, key, due_at, payload, partition")
    )
    due = [timers.Timer(*row) for row in rows]
    await service.hold_to_promise(session, due)
    session.expire_all()
    return len(due)


async def breaches(desk: Any, ticket: dict[str, Any]) -> list[str]:
    return [body["target"] for name, body in await desk.said(ticket) if name == "breached"]


async def test_what_is_due_follows_priority(desk: Any) -> None:
    for priority, response, resolution in (("urgent", 120, 1080), ("normal", 480, 4320), ("low", 960, 8640)):
        made = await desk.ticket(priority=priority)
        assert left(made, "first_response") == pytest.approx(response, abs=1)
        assert left(made) == pytest.approx(resolution, abs=1)


async def test_the_clock_rests_while_the_customer_is_waited_for(desk: Any, time: Time) -> None:
    made = await desk.ticket()
    await time.passes(minutes=1000)
    waiting = await desk.move(made, "waiting_customer")
    assert waiting["resolution_due_at"] is None
    assert waiting["first_response_due_at"] is not None
    await time.passes(days=30)
    again = await desk.move(made, "in_progress")
    assert left(again) == pytest.approx(3320, abs=1)
    assert await breaches(desk, made) == ["first_response"]


async def test_a_ticket_that_is_opened_again_is_not_broken_at_once(desk: Any, time: Time) -> None:
    made = await desk.ticket()
    await desk.move(made, "in_progress")
    await time.passes(minutes=4319)
    await desk.move(made, "resolved", resolution="done")
    await time.passes(days=10)
    again = await desk.move(made, "in_progress")
    assert left(again) == pytest.approx(60, abs=1.1)
    assert (again["open"], again["resolved_at"], again["resolution"], again["breached"]) == (True, None, None, False)
    await time.passes(minutes=70)
    assert await fire(desk.session) == 1
    assert await breaches(desk, made) == ["resolution"]


async def test_a_ticket_with_time_left_keeps_it_when_opened_again(desk: Any, time: Time) -> None:
    made = await desk.ticket()
    await time.passes(minutes=100)
    await desk.move(made, "resolved", resolution="done")
    await time.passes(days=10)
    assert left(await desk.move(made, "in_progress")) == pytest.approx(4220, abs=1)


async def test_a_promise_is_broken_once(desk: Any, time: Time) -> None:
    made = await desk.ticket()
    await time.passes(minutes=481)
    assert await fire(desk.session) == 1
    assert await fire(desk.session) == 0
    shown = await desk.shown(made)
    assert (shown["breached"], [clock["target"] for clock in shown["sla"] if clock["breached_at"]]) == (
        True,
        ["first_response"],
    )
    await desk.move(made, "in_progress")
    await time.passes(days=9)
    assert await fire(desk.session) == 1
    await desk.move(made, "waiting_customer")
    await desk.move(made, "in_progress")
    await desk.move(made, "resolved", resolution="late")
    await desk.move(made, "in_progress")
    assert await breaches(desk, made) == ["first_response", "resolution"]
    assert (await desk.get("/v1/tickets/summary")).json()["breached"] == 1
    versions = [body["version"] for _, body in await desk.said(made)]
    assert versions == sorted(set(versions)), "each is later than the one before"


async def test_who_comes_too_late_has_broken_it_even_before_the_timer(desk: Any, time: Time) -> None:
    made = await desk.ticket()
    await time.passes(minutes=481)
    await desk.act(made, "comments", text="Sorry, we are late")
    assert await breaches(desk, made) == ["first_response"]
    await fire(desk.session)
    assert await breaches(desk, made) == ["first_response"]


async def test_a_kept_promise_leaves_no_timer(desk: Any) -> None:
    made = await desk.ticket()
    keys = text("SELECT key FROM timer WHERE kind = 'sla' ORDER BY key")
    both = [f"{made['id']}:first_response", f"{made['id']}:resolution"]
    assert list((await desk.session.execute(keys)).scalars()) == both
    await desk.act(made, "comments", text="Hello")
    assert list((await desk.session.execute(keys)).scalars()) == both[1:]
    await desk.act(made, "close", resolution="done")
    assert list((await desk.session.execute(keys)).scalars()) == []


async def test_a_timer_for_nothing_is_forgotten(session: WriteSession) -> None:
    await timers.schedule(session, [timers.Timer(TIMER, f"{uuid4()}:resolution", utc_now() - timedelta(hours=1))])
    assert await fire(session) == 1
    assert await fire(session) == 0
    assert await timers.next_due(session) is None


async def test_only_staff_and_only_in_public_respond(desk: Any) -> None:
    via = await desk.customer()
    made = await desk.ask(via)
    await desk.act(made, "comments", text="Who is this?", public=False)
    await desk.post(f"/v1/me/tickets/{made['id']}/comments", {"text": "Hello?"}, via=via)
    assert (await desk.shown(made))["first_response_at"] is None
    await desk.act(made, "comments", text="Good morning")
    assert (await desk.shown(made))["first_response_at"] is not None


async def test_a_type_counts_by_its_calendar(desk: Any) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[tomorrow.weekday()]
    calendar = {"key": "rare", "label": "Once a week", "zone": "UTC", "week": {day: [{"from": "09:00", "to": "10:00"}]}}
    assert (await desk.post("/v1/calendars", calendar)).status_code == 201
    stages = [
        {"key": "new", "label": "New", "state": "open", "next": ["done"]},
        {"key": "done", "label": "Done", "state": "closed"},
    ]
    kind = {"key": "slow", "label": "Slow", "stages": stages, "calendar": "rare", "sla": {"normal": {"resolution": 90}}}
    assert (await desk.post("/v1/ticket-types", kind)).status_code == 201
    made = await desk.ticket(type="slow")
    expected = datetime(tomorrow.year, tomorrow.month, tomorrow.day, 9, 30, tzinfo=UTC) + timedelta(days=7)
    assert datetime.fromisoformat(made["resolution_due_at"]) == expected
    assert made["first_response_due_at"] is None


@pytest.fixture
async def opened(committed: Database) -> UUID:
    """A ticket whose first response is due in the past, really committed."""
    async with committed.write() as session:
        via = await customer(session)
        ticket = await service.open_ticket(session, via, Request("question", "Hi", "Hello", None, {}), STAFF)
        await Time(session).passes(minutes=481)
    return ticket.id


async def breached(database: Database) -> int:
    async with database.read() as session:
        counted = await session.execute(text("SELECT count(*) FROM outbox WHERE subject LIKE '%.breached.%'"))
        return int(counted.scalar_one())


async def test_the_timer_loop_says_it_once(live_runtime: ServiceRuntime, committed: Database, opened: UUID) -> None:
    assert await firing.fire_due(live_runtime, utc_now()) == 1
    assert await firing.fire_due(live_runtime, utc_now()) == 0
    assert await breached(committed) == 1


async def test_a_ticket_in_somebodys_hands_is_looked_at_again(
    offline: ServiceRuntime, committed: Database, opened: UUID
) -> None:
    async with committed.write() as busy:
        await service.find(busy, opened, locked=True)
        assert await firing.fire_due(offline, utc_now()) == 1
    assert await breached(committed) == 0
    async with asyncio.timeout(30):
        while not await firing.fire_due(offline, utc_now()):
            await asyncio.sleep(0.05)
    assert await breached(committed) == 1
    async with committed.read() as session:
        rows = (await session.execute(text("SELECT kind, key FROM timer"))).all()
    assert [tuple(row) for row in rows] == [(TIMER, f"{opened}:resolution")]
