"""What journeys ask of customers, and what is kept for it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from perennial.campaigns.jobs import forget
from perennial.campaigns.testing.world import World, definition, message, wait

CART = definition(
    wait("PT1H"), message("remind", body="Hi {{ traits.firstName | default: 'there' }}: {{event.properties.name}}")
)


async def test_conditions_are_asked_by_rules(world: World) -> None:
    rule = {"all": [{"trait": "plan", "is": "pro"}, {"event": "Product Added", "count": {"gte": 1}}]}
    steps = (
        wait("PT1M"),
        {"id": "pro", "kind": "condition", "rule": rule, "yes": "hello", "no": "exit"},
        message(),
    )
    await world.journey(definition(*steps))
    ada, bob = await world.customer(plan="pro"), await world.customer(plan="free")
    for via in (ada, bob):
        await world.track("Product Added", via)
    await world.pass_time(timedelta(minutes=1))
    await world.tick()
    await world.pass_time(timedelta(minutes=1))
    await world.tick()
    assert sorted(await world.enrolments()) == [
        ("hello", "completed", "completed"),
        ("pro", "exited", "condition_not_met"),
    ]
    assert await world.messages() == [("sent", None)]


async def test_segments_are_triggers_and_conditions(world: World) -> None:
    vip, lapsed = uuid4(), uuid4()
    steps = ({"id": "vip", "kind": "condition", "rule": {"segment": str(vip)}, "no": "exit"}, message())
    await world.journey(definition(*steps) | {"trigger": {"segment": str(lapsed)}})
    ada, bob, cyd = await world.customer(), await world.customer(), await world.customer()
    await world.member(ada, vip, entered=False)
    await world.member(ada, lapsed)
    await world.member(bob, lapsed)
    await world.member(cyd, lapsed, entered=False)
    await world.tick()
    assert sorted(await world.enrolments()) == [
        ("hello", "completed", "completed"),
        ("vip", "exited", "condition_not_met"),
    ]


async def test_events_are_kept_as_long_as_a_journey_reads_them(world: World) -> None:
    rule = {"not": {"event": "Order Completed", "within": "P30D"}}
    await world.journey(
        definition({"id": "new", "kind": "condition", "rule": rule, "no": "exit"}, message(), exit_on=[])
    )
    ada, now = await world.customer(), datetime.now(UTC)
    await world.track("Order Completed", ada, at=now - timedelta(days=20), live=False)
    await world.track("Order Completed", ada, at=now - timedelta(days=60), live=False)
    await world.track("Coupon Applied", ada)
    assert [row.name for row in await world.rows("SELECT name FROM event")] == ["Order Completed"]
    await world.track("Product Added", ada)
    await world.tick()
    assert await world.enrolments() == [("new", "exited", "condition_not_met")]


async def test_a_rule_is_asked_as_of_the_instant_at_which_the_step_was_due(world: World) -> None:
    rule = {"event": "Cart Viewed", "within": "PT10M"}
    steps = (wait("PT5M"), {"id": "seen", "kind": "condition", "rule": rule, "no": "exit"}, message())
    await world.journey(definition(*steps))
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick()
    await world.track("Cart Viewed", ada)
    await world.pass_time(timedelta(minutes=5))
    await world.tick()
    assert await world.enrolments() == [("hello", "completed", "completed")]


async def test_traits_are_those_of_all_identifiers_of_the_customer(world: World) -> None:
    await world.journey(definition(message(subject="{{ traits.name }}")))
    ada = await world.customer(name="old")
    phone = await world.customer(of=ada, name="new")
    await world.track("Product Added", phone)
    await world.tick()
    assert [tuple(row) for row in await world.rows("SELECT subject, via FROM message")] == [("new", phone)]


async def test_what_no_journey_reads_is_forgotten(world: World) -> None:
    rule = {"not": {"event": "Order Completed", "within": "P1D"}}
    await world.journey(definition({"id": "new", "kind": "condition", "rule": rule}, message(), exit_on=[]))
    ada = await world.customer()
    await world.track("Order Completed", ada)
    await forget(world.runtime)
    assert len(await world.rows("SELECT 1 FROM event")) == 1
    await world.pass_time(timedelta(days=30))
    await forget(world.runtime)
    assert await world.rows("SELECT 1 FROM event") == []
