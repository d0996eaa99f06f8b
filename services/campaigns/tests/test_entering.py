"""Entries into segments that are heard late or are announced, and the events by which a journey is left."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.campaigns import worker
from perennial.campaigns.testing.world import World, definition, message, wait
from perennial.common.contracts.segments import MembershipEntered

WEEK = timedelta(weeks=1)
ENTERED, LEFT = ("pause", "active", None), ("pause", "exited", "exit_event")


@pytest.fixture
async def segment(world: World) -> UUID:
    """A segment with which a journey begins."""
    lapsed = uuid4()
    await world.journey(definition(wait("PT1H"), message(), trigger={"segment": str(lapsed)}, reentry="always"))
    return lapsed


async def enter(world: World, segment: UUID, customer: UUID, at: datetime, *, announced: bool) -> None:
    fact = MembershipEntered(
        segment_id=segment, segment_name="lapsed", customer=customer, version=1, announced=announced, occurred_at=at
    )
    async with world.database.write() as session:
        await worker.join_segments(session, [fact])


async def test_what_ended_a_journey_before_its_beginning_was_heard_of(world: World, segment: UUID) -> None:
    """Segments says later than the source does what came first."""
    ada, bob, now = await world.customer(), await world.customer(), datetime.now(UTC)
    await world.track("Order Completed", ada, at=now)
    await world.track("Order Completed", bob, at=now - timedelta(seconds=2))
    for customer in (ada, bob):
        await enter(world, segment, customer, now - timedelta(seconds=1), announced=False)
    assert sorted(await world.enrolments()) == [ENTERED, LEFT]


async def test_an_announced_entry_is_not_left_by_what_happened_before(world: World, segment: UUID) -> None:
    ada, twin, entered = await world.customer(), await world.customer(), datetime.now(UTC) - 2 * WEEK
    await world.track("Order Completed", ada, at=entered + WEEK)
    await enter(world, segment, ada, entered, announced=True)
    await world.assign(twin, ada)  # then her journeys are looked at
    assert await world.enrolments() == [ENTERED]
    for announced in (True, False):
        await enter(world, segment, ada, entered, announced=announced)
    assert await world.enrolments() == [ENTERED], "of one entry there is one walk"
    await world.track("Order Completed", ada)
    assert await world.enrolments() == [LEFT]


async def test_walks_of_the_version_before_say_their_entry_by_their_beginning(world: World, segment: UUID) -> None:
    ada, entered = await world.customer(), datetime.now(UTC)
    await enter(world, segment, ada, entered, announced=False)
    async with world.database.write() as session:
        await session.execute(text("UPDATE enrolment SET cause = cause - 'at'"))
    await enter(world, segment, ada, entered, announced=True)
    assert await world.enrolments() == [ENTERED]
