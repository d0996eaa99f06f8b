"""Entries into segments that are heard late or are announced, and the events by which a journey is left."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.campaigns import worker
from perennial.campaigns.testing.world import World, definition, message, wait
from perennial.common.contracts.segments import Membership, MembershipEntered, MembershipsChanged

WEEK = timedelta(weeks=1)
ENTERED, LEFT = ("pause", "active", None), ("pause", "exited", "exit_event")


@pytest.fixture
async def segment(world: World) -> UUID:
    """A segment with which a journey begins."""
    lapsed = uuid4()
    await world.journey(definition(wait("PT1H"), message(), trigger={"segment": str(lapsed)}, reentry="always"))
    return lapsed


async def enter(
    world: World, segment: UUID, customer: UUID, at: datetime, *, announced: bool, version: int = 1
) -> None:
    own = {"segment_id": segment, "segment_name": "lapsed", "customer": customer, "version": version}
    fact = MembershipEntered.model_validate(own | {"announced": announced, "occurred_at": at})
    async with world.database.write() as session:
        await worker.join_segments(session, [fact])


async def tell(world: World, segment: UUID, customer: UUID, *, version: int, member: bool) -> None:
    """Segments says how a membership stands."""
    item = Membership(
        segment_id=segment, segment_name="lapsed", customer=customer, member=member, since=datetime.now(UTC),
        version=version,
    )  # fmt: skip
    async with world.database.write() as session:
        await worker.copy_memberships(session, [MembershipsChanged(memberships=[item])])


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


@pytest.mark.parametrize("announced", [True, False])
async def test_who_has_left_again_before_an_entry_is_heard_does_not_enter(
    world: World, segment: UUID, *, announced: bool
) -> None:
    ada, bob, cyd, now = await world.customer(), await world.customer(), await world.customer(), datetime.now(UTC)
    await tell(world, segment, ada, version=2, member=False)
    await tell(world, segment, bob, version=1, member=False)  # of before: this entry is newer
    await tell(world, segment, cyd, version=3, member=True)  # came back
    for customer, version in ((ada, 1), (bob, 2), (cyd, 1)):
        await enter(world, segment, customer, now, announced=announced, version=version)
    assert {row.via for row in await world.rows("SELECT via FROM enrolment")} == {bob, cyd}


async def test_who_left_by_a_merge_alone_enters(world: World, segment: UUID) -> None:
    """The old customer is a member no more, for they are another by now, who is one."""
    ada = await world.customer()
    bob = await world.customer(of=ada)
    await tell(world, segment, bob, version=2, member=False)
    await enter(world, segment, bob, datetime.now(UTC), announced=False)
    assert await world.enrolments() == []
    await tell(world, segment, ada, version=1, member=True)
    await enter(world, segment, bob, datetime.now(UTC), announced=False)
    assert await world.enrolments() == [ENTERED]
