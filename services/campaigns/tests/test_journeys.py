"""A walk along a journey: trigger, wait, condition, split, message, exit, and entering again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from perennial.campaigns.enrolments import triggers
from perennial.campaigns.enrolments.split import draw
from perennial.campaigns.journeys import service as journeys
from perennial.campaigns.plans.steps import SplitStep
from perennial.campaigns.plans.versions import plans
from perennial.campaigns.testing.world import Json, World, definition, message, wait
from perennial.common.contracts.campaigns import EnrolmentEnded, EnrolmentStarted
from perennial.common.testing.said import said

CART = definition(
    wait("PT1H"), message("remind", body="Hi {{ traits.firstName | default: 'there' }}: {{event.properties.name}}")
)


def split(*arms: Json) -> Json:
    return {"id": "share", "kind": "split", "arms": list(arms)}


async def test_a_cart_left_alone_is_reminded_of(world: World) -> None:
    await world.journey(CART)
    ada = await world.customer(first_name="Ada")
    await world.track("Product Added", ada, {"name": "Teapot"})
    await world.tick()
    assert await world.enrolments() == [("pause", "waiting", None)]
    await world.pass_time(timedelta(hours=1))
    await world.tick()
    assert await world.enrolments() == [("remind", "completed", "completed")]
    assert [
        tuple(row) for row in await world.rows("SELECT subject, body, status, provider_id IS NOT NULL FROM message")
    ] == [("Hello", "Hi Ada: Teapot", "sent", True)]
    assert [
        await world.said(f"campaigns.{name}.v1") for name in ("enrolment.started", "enrolment.ended", "message.sent")
    ] == [1, 1, 1]


async def test_a_paid_cart_is_not(world: World) -> None:
    await world.journey(CART)
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick()
    await world.track("Order Completed", ada, {"order_id": "1"})
    assert await world.enrolments() == [("pause", "exited", "exit_event")]
    await world.pass_time(timedelta(hours=2))
    await world.tick()
    assert await world.messages() == []
    [(outcome, by)] = await world.rows(
        "SELECT s.outcome, e.ended_by FROM enrolment_step AS s JOIN enrolment AS e ON true"
    )
    assert outcome == "exited"
    assert by["event"] == "Order Completed"


async def test_an_order_that_comes_by_an_import_ends_the_journey_too(world: World) -> None:
    await world.journey(CART)
    ada, bob = await world.customer(), await world.customer()
    for via in (ada, bob):
        await world.track("Product Added", via)
    await world.track("Order Completed", ada, live=False, at=datetime.now(UTC) + timedelta(seconds=1))
    await world.track("Order Completed", bob, live=False, at=datetime.now(UTC) - timedelta(days=1))
    assert sorted(state for _, state, _ in await world.enrolments()) == ["active", "exited"]


async def test_order_before_cart_on_the_wire_ends_the_journey_all_the_same(world: World) -> None:
    await world.journey(CART)
    ada, now = await world.customer(), datetime.now(UTC)
    await world.track("Order Completed", ada, at=now)
    await world.track("Product Added", ada, at=now - timedelta(seconds=5))
    assert await world.enrolments() == [("pause", "exited", "exit_event")]


async def test_an_import_enrols_nobody(world: World) -> None:
    await world.journey(CART)
    await world.track("Product Added", await world.customer(), live=False)
    assert await world.enrolments() == []


async def test_trigger_and_exit_ask_for_properties(world: World) -> None:
    wanted = definition(wait("PT1H")) | {
        "trigger": {"event": "Product Added", "where": [{"property": "price", "gte": 100}]},
        "exit_on": [{"event": "Order Completed", "where": [{"property": "products[].sku", "is": "A"}]}],
    }
    await world.journey(wanted)
    ada = await world.customer()
    await world.track("Product Added", ada, {"price": 99.5})
    assert await world.enrolments() == []
    await world.track("Product Added", ada, {"price": 100})
    await world.track("Order Completed", ada, {"products": [{"sku": "B"}]})
    assert [state for _, state, _ in await world.enrolments()] == ["active"]
    await world.track("Order Completed", ada, {"products": [{"sku": "B"}, {"sku": "A"}]})
    assert [state for _, state, _ in await world.enrolments()] == ["exited"]


@pytest.mark.parametrize(
    ("policy", "while_on_it", "afterwards"), [("once", 1, 1), ("after_exit", 1, 2), ("always", 2, 3)]
)
async def test_reentry(world: World, policy: str, while_on_it: int, afterwards: int) -> None:
    journey = await world.journey(CART | {"reentry": policy})
    ada = await world.customer()
    other = await world.customer(of=ada)
    await world.track("Product Added", ada)
    await world.track("Product Added", other)
    assert len(await world.enrolments()) == while_on_it
    await world.track("Order Completed", other)
    assert {state for _, state, _ in await world.enrolments()} == {"exited"}
    await world.track("Product Added", ada, at=datetime.now(UTC) + timedelta(seconds=1))
    assert len(await world.enrolments()) == afterwards
    refused = await world.rows(
        "SELECT reason FROM refused_entry WHERE journey_id = :journey ORDER BY id", journey=journey
    )
    assert len(refused) == 3 - afterwards


@pytest.mark.parametrize("derived", [True, False])
@pytest.mark.parametrize(("policy", "sent"), [("once", 1), ("after_exit", 1), ("always", 2)])
async def test_who_became_one_customer_walks_on_once(world: World, policy: str, sent: int, *, derived: bool) -> None:
    """Whichever comes first, the derivation or the timer; the walk that began first goes on."""
    await world.journey(CART | {"reentry": policy})
    ada, bob, now = await world.customer(), await world.customer(), datetime.now(UTC)
    await world.track("Product Added", bob, at=now)
    await world.track("Product Added", ada, at=now - timedelta(seconds=1))
    await world.tick()
    await world.assign(bob, ada, derived=derived)
    if derived and sent == 1:
        assert await world.enrolments() == [("pause", "exited", "merged"), ("pause", "waiting", None)]
        assert await world.said("campaigns.enrolment.ended.v1") == 1
    await world.pass_time(timedelta(hours=1))
    await world.tick()
    assert await world.messages() == [("sent", None)] * sent
    ended = {row.via: row.reason for row in await world.rows("SELECT via, reason FROM enrolment")}
    assert ended == {ada: "completed", bob: "merged" if sent == 1 else "completed"}


@pytest.mark.parametrize("by_event", [True, False])
async def test_who_parts_again_walks_on_as_if_they_had_never_met(world: World, *, by_event: bool) -> None:
    """A merge ends a walk: there is another one, or what the other side did ends both."""
    await world.journey(CART)
    ada, bob, now = await world.customer(), await world.customer(), datetime.now(UTC)
    await world.track("Product Added", bob, at=now)
    await world.track("Product Added", ada, at=now - timedelta(seconds=1))
    await world.tick()
    await world.assign(bob, ada)
    if by_event:
        await world.track("Order Completed", ada)
    await world.assign(bob, bob)
    walks = {row.via: row for row in await world.rows("SELECT * FROM enrolment")}
    assert (walks[bob].step, walks[bob].state, walks[bob].reason) == ("pause", "waiting", None)
    assert walks[ada].state == ("exited" if by_event else "waiting")
    steps = await world.rows("SELECT left_at FROM enrolment_step WHERE enrolment_id = :id", id=walks[bob].id)
    assert [step.left_at for step in steps] == [None]
    await world.pass_time(timedelta(hours=1))
    await world.tick()
    assert await world.messages() == [("sent", None)] * (1 if by_event else 2)


async def test_a_customer_of_whom_the_map_has_not_told_yet_is_enrolled_by_its_segment(world: World) -> None:
    lapsed, unknown = uuid4(), uuid4()
    await world.journey(definition(wait("PT1H")) | {"trigger": {"segment": str(lapsed)}})
    await world.member(unknown, lapsed)
    await world.member(unknown, lapsed, version=2)
    assert len(await world.enrolments()) == 1


async def test_a_split_is_sticky_and_fair() -> None:
    step = SplitStep.model_validate(
        split({"name": "a", "percent": 70}, {"name": "b", "percent": 29.5}, {"name": "control", "percent": 0.5})
    )
    journey = UUID(int=7)
    drawn = [draw(journey, step, UUID(int=number)).name for number in range(20_000)]
    assert drawn == [draw(journey, step, UUID(int=number)).name for number in range(20_000)]
    assert abs(drawn.count("a") / 20_000 - 0.70) < 0.015
    assert abs(drawn.count("control") / 20_000 - 0.005) < 0.003
    other = [draw(UUID(int=8), step, UUID(int=number)).name for number in range(20_000)]
    both = sum(one == two == "a" for one, two in zip(drawn, other, strict=True)) / 20_000
    assert abs(both - 0.49) < 0.02


async def test_the_control_group_is_an_outcome_and_its_message_a_row(world: World) -> None:
    arms = ({"name": "treated", "percent": 50, "next": "hello"}, {"name": "control", "percent": 50, "next": "exit"})
    journey = await world.journey(definition(split(*arms), message()) | {"trigger": {"api": True}})
    customers = [await world.customer() for _ in range(40)]
    async with world.database.write() as session:
        entered = await journeys.enrol(session, journey, {"segment_id": None, "customer_ids": customers}, "test")
    assert entered.count == 40
    await world.tick()
    messages = await world.messages()
    sent, withheld = messages.count(("sent", None)), messages.count(("not_sent", "control_group"))
    assert sent + withheld == 40
    assert 5 < withheld < 35
    reasons = [reason for _, _, reason in await world.enrolments()]
    assert reasons.count("control_group") == withheld
    assert await world.said("campaigns.message.suppressed.v1") == withheld


async def test_an_enrolment_keeps_its_version(world: World) -> None:
    journey = await world.journey(definition(wait("PT1H"), message(subject="one")))
    ada, bob = await world.customer(), await world.customer()
    await world.track("Product Added", ada)
    async with world.database.write() as session:
        await journeys.change(session, journey, None, definition(message(subject="two")), None)
        assert (await journeys.publish(session, journey, "test")).published_version == 2
        assert (await journeys.publish(session, journey, "test")).published_version == 2
    await world.track("Product Added", bob)
    await world.tick()
    await world.pass_time(timedelta(hours=1))
    await world.tick()
    assert [row.subject for row in await world.rows("SELECT subject FROM message ORDER BY id")] == ["two", "one"]


async def test_a_paused_journey_holds_everybody_and_lets_nobody_in(world: World) -> None:
    journey = await world.journey(CART)
    ada, bob, cyd = [await world.customer() for _ in range(3)]
    await world.track("Product Added", ada)
    await world.track("Product Added", cyd)
    await world.tick()
    async with world.database.write() as session:
        await journeys.pause(session, journey)
    await world.track("Product Added", bob)
    await world.pass_time(timedelta(hours=2))
    await world.track("Order Completed", cyd)
    await world.tick()
    assert sorted(await world.enrolments()) == [("pause", "exited", "exit_event"), ("pause", "waiting", None)]
    async with world.database.write() as session:
        await journeys.resume(session, journey)
    await world.tick()
    assert await world.messages() == [("sent", None)]


async def test_archiving_ends_every_walk(world: World) -> None:
    journey = await world.journey(CART)
    await world.track("Product Added", await world.customer())
    async with world.database.write() as session:
        await journeys.archive(session, journey, None)
    assert await world.enrolments() == [("pause", "exited", "journey_archived")]
    assert await world.rows("SELECT name FROM interest") == []


async def test_an_archived_journey_lets_nobody_in_who_knocked_before(world: World) -> None:
    """The trigger was read before the archiving committed; the lock makes it read again."""
    journey = await world.journey(CART)
    async with world.database.write() as session:
        found = await journeys.journey(session, journey)
        assert found.published_version is not None
        key = (journey, found.published_version)
        plan = (await plans(session, [key]))[key]
        await journeys.archive(session, journey, None)
        assert await triggers.running(session, [plan]) == set()


async def facts(world: World, verb: str, via: UUID) -> list[EnrolmentStarted | EnrolmentEnded]:
    """What was said of the walks of an identifier."""
    contract = EnrolmentStarted if verb == "started" else EnrolmentEnded
    async with world.database.read() as session:
        found = [contract.model_validate_json(fact.body) for fact in await said(session, contract.subject)]
    return [fact for fact in found if fact.via == via]


async def test_what_is_said_of_a_walk_tells_its_order_whatever_the_clocks(world: World) -> None:
    """Whoever began or ended it may be on another machine, whose clock is ahead."""
    await world.journey(CART)
    ada, bob, ahead = await world.customer(), await world.customer(), timedelta(minutes=5)
    for via in (ada, bob):
        await world.track("Product Added", via)
    async with world.database.write() as session:
        await session.execute(text("UPDATE enrolment SET entered_at = entered_at + :ahead"), {"ahead": ahead})
    await world.assign(bob, ada)
    [walk] = await world.rows("SELECT id, entered_at FROM enrolment WHERE via = :via", via=bob)
    async with world.database.write() as session:
        await session.execute(text("UPDATE enrolment SET ended_at = entered_at WHERE via = :via"), {"via": bob})
    await world.assign(bob, bob)
    ended, again = [(await facts(world, verb, bob))[-1] for verb in ("ended", "started")]
    assert ended.occurred_at == walk.entered_at
    assert again.occurred_at > ended.occurred_at
