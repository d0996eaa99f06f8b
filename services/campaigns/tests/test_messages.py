"""What is sent, and what is not, with its reason."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.campaigns.channels import service as channels
from perennial.campaigns.messages.quiet import quiet_until, zone_of
from perennial.campaigns.messages.shown import explained
from perennial.campaigns.models import Message
from perennial.campaigns.templates import Facts, TemplateFault, reads, render
from perennial.campaigns.testing.world import World, definition, message, wait

HELLO = definition(message())


async def limits(world: World, name: str = "sandbox", **values: Any) -> None:
    async with world.database.write() as session:
        await channels.change(session, name, values, None)


async def explanation(world: World) -> str:
    async with world.database.read() as session:
        row = (await world.rows("SELECT id FROM message ORDER BY id DESC LIMIT 1"))[0]
        found = await session.get(Message, row.id)
        assert found is not None
        return explained(found, found.detail or {})


async def test_no_address(world: World) -> None:
    await world.journey(HELLO)
    wrong = (None, "not an address", 7, "<@x.de", "a b@x.de", '"a"@x.de', "a,b@x.de", "a\\b@x.de", "x:[a];(b)@x.de")
    for email in wrong:
        await world.track("Product Added", await world.customer(email=email))
    await world.tick()
    assert await world.messages() == [("not_sent", "no_address")] * len(wrong)
    assert {state for _, state, _ in await world.enrolments()} == {"completed"}
    assert "email" in await explanation(world)


@pytest.mark.parametrize(
    "traits",
    [
        {"unsubscribed": True},
        {"unsubscribed": "yes"},
        {"consent": {"sandbox": False}},
        {"consent": {"marketing": False}},
        {"consent": {"marketing": "false"}},
        {"consent": {"sandbox": "No "}},
        {"consent": {"sandbox": 0}},
        {"consent": {"sandbox": 0.0}},
        {"consent": {"Marketing": False}},
        {"consent": False},
        {"consent": "no"},
        {"unsubscribed": 1.0},
        {"unsubscribed": "Y"},
    ],
)
async def test_unsubscribed(world: World, traits: dict[str, Any]) -> None:
    await world.journey(definition(message(), message("bill", purpose="transactional")))
    await world.track("Product Added", await world.customer(**traits))
    await world.tick()
    assert await world.messages() == [("not_sent", "unsubscribed"), ("sent", None)]


@pytest.mark.parametrize(
    "traits",
    [
        {"unsubscribed": 0.0, "consent": {"sandbox": 1, "marketing": "on", "email": False}},
        {"unsubscribed": "never", "consent": "yes"},
        {"unsubscribed": None, "consent": None},
    ],
)
async def test_not_unsubscribed(world: World, traits: dict[str, Any]) -> None:
    await world.journey(HELLO)
    await world.track("Product Added", await world.customer(**traits))
    await world.tick()
    assert await world.messages() == [("sent", None)]


async def test_a_trait_that_was_taken_back_counts_no_more(world: World) -> None:
    await world.journey(HELLO)
    ada, now = await world.customer(unsubscribed=True), datetime.now(UTC)
    await world.identify(ada, {"unsubscribed": None}, at=now + timedelta(seconds=1))
    await world.identify(ada, {"unsubscribed": True}, at=now - timedelta(days=1))
    await world.track("Product Added", ada)
    await world.tick()
    assert await world.messages() == [("sent", None)]


async def test_the_cap_counts_per_customer_and_channel_over_all_identifiers(world: World) -> None:
    await world.journey(definition(message(), message("again"), message("bill", purpose="transactional")))
    await limits(world, cap=1, cap_window=timedelta(days=1))
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick()
    assert await world.messages() == [("sent", None), ("not_sent", "frequency_cap"), ("sent", None)]
    [(detail,)] = await world.rows("SELECT detail FROM message WHERE step = 'again'")
    assert detail == {"sent": 1, "cap": 1, "window_hours": 24.0}
    await world.track("Product Added", await world.customer(of=ada))
    await world.tick()
    assert (await world.messages())[3:] == [("not_sent", "frequency_cap")] * 2 + [("sent", None)]
    await world.pass_time(timedelta(days=1))
    await world.track("Product Added", ada)
    await world.tick()
    assert (await world.messages())[6] == ("sent", None)


async def test_two_of_one_batch_do_not_slip_under_the_cap(world: World) -> None:
    await world.journey(HELLO | {"reentry": "always"})
    await limits(world, cap=1)
    ada = await world.customer()
    for _ in range(3):
        await world.track("Product Added", ada)
    await world.tick()
    assert sorted(await world.messages(), key=str) == [("not_sent", "frequency_cap")] * 2 + [("sent", None)]


async def test_quiet_hours_put_off_where_the_customer_lives(world: World) -> None:
    await world.journey(HELLO)
    here, there = datetime.now(ZoneInfo("Asia/Shanghai")), datetime.now(ZoneInfo("America/New_York"))
    await limits(world, quiet_from=(here - timedelta(hours=1)).time(), quiet_until=(here + timedelta(hours=1)).time())
    li, ann = await world.customer(timezone="Asia/Shanghai"), await world.customer(timezone="America/New_York")
    assert abs(here.hour - there.hour) > 2
    for via in (li, ann):
        await world.track("Product Added", via)
    await world.tick()
    assert sorted(await world.messages(), key=str) == [("queued", "quiet_hours"), ("sent", None)]
    await world.pass_time(timedelta(hours=1, seconds=1))
    await limits(world, quiet_from=None, quiet_until=None)
    await world.tick()
    assert await world.messages() == [("sent", None)] * 2


async def test_who_pays_in_the_night_hears_nothing_in_the_morning(world: World) -> None:
    await world.journey(HELLO)
    now = datetime.now(UTC)
    await limits(world, quiet_from=(now - timedelta(hours=1)).time(), quiet_until=(now + timedelta(hours=1)).time())
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick()
    assert await world.messages() == [("queued", "quiet_hours")]
    await world.track("Order Completed", ada)
    assert await world.messages() == [("not_sent", "exited")]
    assert "left the journey" in await explanation(world)


async def test_a_template_that_fails_for_one_customer(world: World) -> None:
    await world.journey(definition(message(body="{% for i in (1..traits.n) %}{{ i }}{% endfor %}")))
    ada, bob = await world.customer(n=3), await world.customer(n=100_000_000)
    for via in (ada, bob):
        await world.track("Product Added", via)
    await world.tick()
    assert sorted(await world.messages(), key=str) == [("not_sent", "template_error"), ("sent", None)]


def facts(**traits: Any) -> Facts:
    return Facts(traits, {}, {}, {}, {})


def test_templates_read_what_they_are_given_and_nothing_else() -> None:
    assert render("Hi {{ traits.firstName | default: 'there' }}!", facts(first_name="Zoë")) == "Hi Zoë!"
    assert render("Hi {{ traits.first_name | default: 'there' }}!", facts(first_name=None)) == "Hi there!"
    assert render("{{ traits.a }}", facts(a="<b>"), markup=True) == "&lt;b&gt;"
    assert render("{{ traits.__class__ }}{{ traits.items }}{{ traits.a.__class__ }}", facts(a="x")) == ""
    assert reads("{{ traits.a }}{% if traits.b.c %}{{ event.properties.x }}{% endif %}") == {"a", "b"}


@pytest.mark.parametrize(
    "source",
    ["{{ traits.a", "{{ x | nope }}", "{% include 'a' %}", "{% render 'a' %}", "{{ secrets.a }}",
     "{{ traits[event.x] }}", "{{ traits }}", "{% for i in (1..99999999) %}{{ i }}{% endfor %}",
     "{% assign a = 'xxxxxxxx' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}"],
)  # fmt: skip
def test_templates_that_cannot_be(source: str) -> None:
    with pytest.raises(TemplateFault):
        reads(source)


@settings(deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001 (UTC is added below)
    st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"]
    ),
    st.times(),
    st.times(),
)
def test_quiet_hours_end_after_now_within_a_day_and_outside_themselves(
    now: datetime, zone: str, start: time, end: time
) -> None:
    moment, local = now.replace(tzinfo=UTC), ZoneInfo(zone)
    until = quiet_until(moment, local, start, end)
    if until is None:
        return
    assert moment < until <= moment + timedelta(hours=26)
    assert quiet_until(until, local, start, end) is None or start == end


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        ("Europe/Berlin", "2026-03-29T00:30:00+00:00", "2026-03-29T05:00:00+00:00"),  # the night that loses an hour
        ("Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25T06:00:00+00:00"),  # the night that has one more
        ("America/New_York", "2026-06-01T03:00:00+00:00", "2026-06-01T11:00:00+00:00"),
        ("America/New_York", "2026-06-01T12:00:00+00:00", None),
    ],
)
def test_quiet_hours_know_summer_time(zone: str, now: str, until: str | None) -> None:
    found = quiet_until(datetime.fromisoformat(now), ZoneInfo(zone), time(22), time(7))
    assert found == (datetime.fromisoformat(until) if until else None)


async def test_waits_begin_when_the_message_has_left(world: World) -> None:
    await world.journey(definition(message(), wait("PT1H"), message("again")))
    await world.track("Product Added", await world.customer())
    await world.tick(send=False)
    assert await world.enrolments() == [("hello", "waiting", None)]
    await world.tick()
    assert await world.enrolments() == [("pause", "waiting", None)]


@pytest.mark.parametrize(
    ("traits", "zone"),
    [
        ({"timezone": "Asia/Shanghai", "time_zone": "America/New_York"}, "Asia/Shanghai"),
        ({"time_zone": "America/New_York"}, "America/New_York"),
        ({"timezone": "nowhere", "time_zone": "America/New_York"}, "America/New_York"),
        ({"timezone": 8}, "UTC"),
        ({}, "UTC"),
    ],
)
def test_quiet_hours_read_both_spellings_of_a_zone(traits: dict[str, object], zone: str) -> None:
    assert str(zone_of(traits)) == zone


async def test_quiet_hours_where_the_other_spelling_says(world: World) -> None:
    await world.journey(HELLO)
    here = datetime.now(ZoneInfo("Asia/Shanghai"))
    await limits(world, quiet_from=(here - timedelta(hours=1)).time(), quiet_until=(here + timedelta(hours=1)).time())
    await world.track("Product Added", await world.customer(time_zone="Asia/Shanghai"))
    await world.tick()
    assert await world.messages() == [("queued", "quiet_hours")]
