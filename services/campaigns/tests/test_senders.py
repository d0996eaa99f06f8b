"""Senders: SMTP as it is spoken, what is tried again, and what a crash leaves behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage

import aiosmtplib
import pytest
from sqlalchemy import text

from perennial.campaigns.channels import sender, smtp
from perennial.campaigns.channels import service as channels
from perennial.campaigns.channels.outgoing import Outgoing, Result
from perennial.campaigns.channels.sandbox import Sandbox
from perennial.campaigns.channels.smtp import Smtp
from perennial.campaigns.journeys import service as journeys
from perennial.campaigns.testing.smtp import Mailbox, mailbox
from perennial.campaigns.testing.world import World, definition, message
from perennial.common.service import ServiceRuntime

EMAIL = definition(message(channel="email", subject="Für {{ traits.name }}", body="Grüße"))


@pytest.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox() as made:
        yield made


async def test_an_email_by_smtp(world: World, box: Mailbox) -> None:
    await world.journey(EMAIL)
    ada = await world.customer(name="Ada\r\nBcc: all@example.com", email="Ada@Shop.example")
    await world.track("Product Added", ada)
    await world.tick(provider=Smtp(box.url))
    assert await world.messages() == [("sent", None)]
    [mail] = box.arrived
    [(message_id,)] = await world.rows("SELECT id FROM message")
    assert mail["To"] == "ada@shop.example"
    assert mail["Message-ID"] == f"<{message_id}@perennial.invalid>"
    assert mail["List-Unsubscribe"].startswith("<mailto:no-reply@perennial.invalid?subject=unsubscribe")
    assert mail["Bcc"] is None
    assert bytes(mail.get_payload(decode=True)).decode().strip() == "Grüße"


@pytest.mark.parametrize("one_click", [True, False])
async def test_one_click_unsubscription_and_html(world: World, box: Mailbox, *, one_click: bool) -> None:
    """A static link does not say who clicks: then nobody's mail client may click it for them (RFC 8058)."""
    link = "https://shop.example/u"
    await world.journey(definition(message(channel="email", body="<p>{{ traits.name }}</p>", format="html")))
    async with world.database.write() as session:
        values = {"sender": "Shop <hello@shop.example>", "unsubscribe": link + "?m={message_id}" * one_click}
        await channels.change(session, "email", values, None)
    await world.track("Product Added", await world.customer(name="<script>"))
    await world.tick(provider=Smtp(box.url))
    [mail] = box.arrived
    assert mail["From"] == "Shop <hello@shop.example>"
    [(message_id,)] = await world.rows("SELECT id FROM message")
    assert mail["List-Unsubscribe"] == f"<{link}{f'?m={message_id}' * one_click}>"
    assert mail["List-Unsubscribe-Post"] == ("List-Unsubscribe=One-Click" if one_click else None)
    assert mail.get_content_type() == "text/html"
    assert "&lt;script&gt;" in bytes(mail.get_payload(decode=True)).decode()


async def test_a_mailbox_that_does_not_exist(world: World, box: Mailbox) -> None:
    await world.journey(EMAIL)
    for email in ("nobody@shop.example", "ada@shop.example"):
        await world.track("Product Added", await world.customer(email=email))
    await world.tick(provider=Smtp(box.url))
    assert await world.messages() == [("failed", "provider_error"), ("sent", None)]
    assert {state for _, state, _ in await world.enrolments()} == {"completed"}
    assert await world.said("campaigns.message.suppressed.v1") == 1


async def three(world: World) -> None:
    """Three approved messages, to one, two and three."""
    await world.journey(EMAIL)
    for name in ("one", "two", "three"):
        await world.track("Product Added", await world.customer(email=f"{name}@shop.example"))
        await world.tick(send=False)


@pytest.mark.parametrize("lanes", [1, smtp.LANES])
async def test_an_address_that_cannot_be_written_costs_nobody_else(
    world: World, box: Mailbox, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    """Approved before addresses were checked as they are now."""
    monkeypatch.setattr(smtp, "LANES", lanes)
    await three(world)
    async with world.database.write() as session:
        await session.execute(text("UPDATE message SET address = '<@x.de' WHERE address LIKE 'two@%'"))
    await world.tick(provider=Smtp(box.url))
    assert await world.messages() == [("sent", None), ("failed", "provider_error"), ("sent", None)]
    assert len(box.arrived) == 2


@pytest.mark.parametrize("lanes", [1, smtp.LANES])
async def test_nor_does_a_mistake_of_ours(
    world: World, box: Mailbox, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    def faulty(message: Outgoing) -> EmailMessage:
        if message.address.startswith("two@"):
            raise RuntimeError("oops")
        return build(message)

    build = smtp.build
    monkeypatch.setattr(smtp, "LANES", lanes)
    monkeypatch.setattr(smtp, "build", faulty)
    await three(world)
    await world.tick(provider=Smtp(box.url))
    assert await world.messages() == [("sent", None), ("queued", "provider_error"), ("sent", None)]
    [(error,)] = await world.rows("SELECT detail->>'error' FROM message WHERE status = 'queued'")
    assert error == "RuntimeError: oops"


async def test_nor_does_a_mistake_halfway(world: World, box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message that was begun is forgotten, and the next one goes over the same connection."""

    async def faulty(self: aiosmtplib.SMTP, sender: str, to: list[str], content: bytes) -> object:
        if to[0].startswith("two@"):
            await self.mail(sender)
            raise RuntimeError("oops")
        return await sendmail(self, sender, to, content)

    sendmail = aiosmtplib.SMTP.sendmail
    monkeypatch.setattr(smtp, "LANES", 1)
    monkeypatch.setattr(aiosmtplib.SMTP, "sendmail", faulty)
    await three(world)
    await world.tick(provider=Smtp(box.url))
    assert await world.messages() == [("sent", None), ("queued", "provider_error"), ("sent", None)]


async def test_what_a_slow_server_leaves_no_time_for_is_tried_again(
    world: World, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the lease somebody else would send it too."""
    monkeypatch.setattr(smtp, "LANES", 1)
    box.pause = 0.3
    await three(world)
    await world.tick(provider=Smtp(box.url, timedelta(seconds=0.2)))
    assert await world.messages() == [("sent", None)] + [("queued", "provider_error")] * 2
    errors = await world.rows("SELECT detail->>'error' FROM message WHERE status = 'queued'")
    assert {error for (error,) in errors} == {"out of time"}
    box.pause = 0
    await world.pass_time(timedelta(minutes=1))
    await world.tick(provider=Smtp(box.url))
    assert len(box.arrived) == 3


async def test_a_server_that_is_busy_or_away_is_tried_again_after_all_checks(world: World, box: Mailbox) -> None:
    await world.journey(EMAIL)
    ada, bob = await world.customer(), await world.customer()
    for via in (ada, bob):
        await world.track("Product Added", via)
    box.busy = True
    await world.tick(provider=Smtp(box.url))
    await world.pass_time(timedelta(minutes=1))
    await world.tick(provider=Smtp("smtp://127.0.0.1:1"))
    assert await world.messages() == [("queued", "provider_error")] * 2
    assert {row.attempts for row in await world.rows("SELECT attempts FROM message")} == {2}
    await world.track("Order Completed", bob)
    box.busy = False
    await world.pass_time(timedelta(minutes=10))
    await world.tick(provider=Smtp(box.url))
    assert sorted(await world.messages(), key=str) == [("not_sent", "exited"), ("sent", None)]
    assert len(box.arrived) == 1


async def test_it_is_not_tried_for_ever(world: World) -> None:
    await world.journey(EMAIL)
    await world.track("Product Added", await world.customer())
    for _ in range(len(sender.BACKOFF) + 1):
        await world.tick(provider=Smtp("smtp://127.0.0.1:1"))
        await world.pass_time(timedelta(hours=9))
    assert await world.messages() == [("failed", "provider_error")]


async def test_without_a_server_email_fails_and_says_so(world: World) -> None:
    await world.journey(EMAIL)
    await world.track("Product Added", await world.customer())
    await world.tick(provider=Smtp(None))
    assert await world.messages() == [("failed", "provider_error")]
    [(error,)] = await world.rows("SELECT detail->>'error' FROM message")
    assert "PERENNIAL_SMTP_URL" in error


async def test_a_crash_after_the_provider_took_it_sends_it_twice_under_one_id(world: World, box: Mailbox) -> None:
    """At least once towards the provider: the second one bears the same Message-ID, and counts once here."""
    await world.journey(EMAIL)
    await world.track("Product Added", await world.customer())
    await world.tick(send=False)
    provider = Smtp(box.url)
    async with world.database.write() as session:
        taken = await sender.take(session, provider)
    await provider.send(taken)  # and here the process dies
    await world.tick(provider=provider)
    assert len(box.arrived) == 1
    await world.pass_time(sender.LEASE)
    await world.tick(provider=provider)
    assert [mail["Message-ID"] for mail in box.arrived] == [box.arrived[0]["Message-ID"]] * 2
    assert await world.messages() == [("sent", None)]
    assert await world.said("campaigns.message.sent.v1") == 1


async def test_a_crash_before_the_provider_took_it(world: World) -> None:
    await world.journey(definition(message()))
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick(send=False)
    async with world.database.write() as session:
        assert len(await sender.take(session, Sandbox())) == 1
    await world.track("Order Completed", ada)
    assert await world.messages() == [("queued", None)]
    await world.pass_time(sender.LEASE)
    await world.tick()
    assert await world.messages() == [("not_sent", "exited")]


async def test_an_approval_that_went_stale_in_an_outage_is_checked_again(world: World) -> None:
    await world.journey(definition(message()))
    ada = await world.customer()
    await world.track("Product Added", ada)
    await world.tick(send=False)
    await world.pass_time(sender.FRESH + timedelta(seconds=1))
    await world.identify(ada, {"unsubscribed": True})
    await world.tick()
    assert await world.messages() == [("not_sent", "unsubscribed")]


async def test_a_paused_journey_sends_nothing(world: World) -> None:
    journey = await world.journey(definition(message()))
    await world.track("Product Added", await world.customer())
    await world.tick(send=False)
    async with world.database.write() as session:
        await journeys.pause(session, journey)
    await world.tick()
    await world.pass_time(timedelta(hours=1))
    await world.tick()
    assert await world.messages() == [("queued", None)]
    async with world.database.write() as session:
        await journeys.resume(session, journey)
    await world.tick()
    assert await world.messages() == [("sent", None)]


class Slow(Sandbox):
    """A provider that has not answered before the sender's heart has beaten again."""

    def __init__(self, runtime: ServiceRuntime) -> None:
        self._runtime = runtime

    async def send(self, messages: Sequence[Outgoing]) -> list[Result]:
        began = self._runtime.beats["sender sandbox"]
        async with asyncio.timeout(20):
            while self._runtime.beats["sender sandbox"] == began:
                await asyncio.sleep(0.01)
        self._runtime.stopping.set()
        return await super().send(messages)


async def test_a_slow_provider_is_no_stalled_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that killed it then would have what it has in hand sent twice."""
    monkeypatch.setattr(sender, "BEAT_SECONDS", 0.05)
    await world.journey(definition(message()))
    await world.track("Product Added", await world.customer())
    await world.tick(send=False)
    try:
        await sender.loop(world.runtime, Slow(world.runtime))
    finally:
        world.runtime.stopping.clear()
    assert await world.messages() == [("sent", None)]


async def test_a_provider_that_never_answers_is_a_stalled_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(sender, "LEASE", timedelta(seconds=0.05))
    beats: list[float] = []

    class Beats(dict[str, float]):
        def __setitem__(self, name: str, at: float) -> None:
            beats.append(at)

    monkeypatch.setattr(world.runtime, "beats", Beats())
    async with sender.beating(world.runtime, "sender sandbox"):
        async with asyncio.timeout(20):
            while len(beats) < 5:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert len(beats) == 5
