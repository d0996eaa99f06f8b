"""Messages obey what customers have said of being written to."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from perennial.campaigns.consents import service as consents
from perennial.campaigns.consents.queries import Statement
from perennial.campaigns.testing.world import World, definition, message, wait

NOW = datetime.now(UTC)


def statement(via: UUID, state: str, at: datetime = NOW, channel: str = "*", ends: datetime | None = None) -> Statement:
    version = int(at.timestamp() * 1_000_000) * 2 + (state == "withdrawn")
    return Statement(via, "marketing", channel, state, at, ends, version)


async def say(world: World, *statements: Statement) -> None:
    async with world.database.write() as session:
        await consents.take(session, statements)


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ([], ("sent", None)),
        ([("given", NOW, "*")], ("sent", None)),
        ([("withdrawn", NOW, "sandbox")], ("not_sent", "no_consent")),
        ([("withdrawn", NOW, "*")], ("not_sent", "no_consent")),
        ([("withdrawn", NOW, "email")], ("sent", None)),
        ([("withdrawn", NOW - HOUR, "*"), ("given", NOW, "sandbox")], ("sent", None)),
        ([("given", NOW, "sandbox"), ("withdrawn", NOW, "*")], ("not_sent", "no_consent")),
        ([("given", NOW, "sandbox"), ("withdrawn", NOW - HOUR, "sandbox")], ("sent", None)),
    ],
    ids=["nothing", "given", "channel", "every", "another", "newer", "instant", "late"],
)
async def test_the_newest_statement_decides(
    world: World, said: list[tuple[str, datetime, str]], outcome: tuple[str, str | None]
) -> None:
    await world.journey(definition(message()))
    via = await world.customer()
    for state, at, channel in said:
        await say(world, statement(via, state, at, channel))
    await world.track("Product Added", via)
    await world.tick()
    assert await world.messages() == [outcome]


async def test_a_consent_that_ran_out_is_none_and_transactional_messages_go(world: World) -> None:
    await world.journey(definition(message(), message("receipt", purpose="transactional")))
    via = await world.customer()
    await say(world, statement(via, "given", NOW - HOUR, ends=NOW - timedelta(minutes=1)))
    await world.track("Product Added", via)
    await world.tick()
    assert await world.messages() == [("not_sent", "no_consent"), ("sent", None)]
    (detail,) = await world.rows("SELECT detail FROM message WHERE status = 'not_sent'")
    assert (detail[0]["state"], detail[0]["purpose"]) == ("expired", "marketing")
    assert await world.said("campaigns.message.suppressed.v1") == 1


async def test_a_withdrawal_under_another_identifier_holds_after_a_merge_until_a_split(world: World) -> None:
    await world.journey(definition(message(), wait("PT1H"), message("again")))
    via, other = await world.customer(), await world.customer()
    await say(world, statement(other, "withdrawn"))
    await world.assign(other, via)
    await world.track("Product Added", via)
    await world.tick()
    assert await world.messages() == [("not_sent", "no_consent")]
    await world.assign(other, other)
    await world.pass_time(timedelta(hours=2))
    await world.tick()
    await world.tick()
    assert await world.messages() == [("not_sent", "no_consent"), ("sent", None)]


async def test_a_withdrawal_stops_what_is_about_to_leave(world: World) -> None:
    await world.journey(definition(message()))
    via = await world.customer()
    await world.track("Product Added", via)
    await world.tick(send=False)
    assert await world.messages() == [("queued", None)], "approved, and nobody has it in hand yet"
    await say(world, statement(via, "withdrawn"))
    await world.tick()
    await world.tick()
    assert await world.messages() == [("not_sent", "no_consent")]
