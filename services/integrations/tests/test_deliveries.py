"""Deliveries to a real endpoint: signed, retried, paused, given up, sent again."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from perennial.common.contracts.loyalty import AccountsChanged, PointsEarned
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.integrations import queries, service
from perennial.integrations.delivery import deliver_once, key_of, settings_of
from perennial.integrations.egress import Egress


async def subscribe(process: Runtime, url: str, *types: str) -> tuple[UUID, str]:
    async with process.database.write() as session:
        webhook, secret = await service.create(
            session,
            key_of(settings_of(process)),
            url=url,
            event_types=list(types),
            description="",
        )
        return webhook.id, secret


def earned(points: int = 5) -> PointsEarned:
    return PointsEarned(posting_id=uuid7(), via=uuid7(), customer=uuid7(), points=points, reason="order")


async def say(process: Runtime, *events: Any) -> None:
    async with process.database.write() as session:
        await service.enqueue(session, events)


async def make_due(process: Runtime) -> None:
    async with process.database.write() as session:
        await session.execute(text("UPDATE delivery SET next_at = now()"))
        await session.execute(text("UPDATE webhook SET paused_until = NULL"))


async def state(process: Runtime) -> list[tuple[str, int]]:
    async with process.database.read() as session:
        rows = await session.execute(text("SELECT state, attempts FROM delivery ORDER BY message_id"))
        return [(row.state, row.attempts) for row in rows]


async def test_a_partner_can_verify_what_it_gets(process: Runtime, egress: Egress, partner: Any) -> None:
    _, secret = await subscribe(process, partner.url, "loyalty.*")
    event = earned(7)
    await say(process, event, event)
    assert await deliver_once(process, egress) == 1
    assert await deliver_once(process, egress) == 0
    [(headers, body)] = partner.got
    said = Webhook(secret).verify(body.decode(), {name.lower(): value for name, value in headers.items()})
    assert (said["type"], said["data"]["points"]) == ("loyalty.points.earned.v1", 7)
    assert headers["webhook-id"] == f"msg_{event.id}"
    assert headers["Content-Type"] == "application/json"
    assert await state(process) == [("delivered", 1)]


async def test_only_what_was_asked_for_is_sent(process: Runtime, egress: Egress, partner: Any) -> None:
    await subscribe(process, partner.url, "loyalty.*")
    await say(process, TraitsChanged(via=uuid7(), customer=uuid7(), traits={"a": 1}), AccountsChanged(accounts=[]))
    assert await deliver_once(process, egress) == 0


async def test_a_failure_is_retried_with_a_new_timestamp_and_the_same_id(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "loyalty.*")
    partner.answers = [(500, {}), (302, {"Location": "/elsewhere"})]
    await say(process, earned())
    for _ in range(3):
        await deliver_once(process, egress)
        await make_due(process)
    assert await state(process) == [("delivered", 3)]
    assert len({headers["webhook-id"] for headers, _ in partner.got}) == 1
    assert len({body for _, body in partner.got}) == 1
    async with process.database.read() as session:
        log = await queries.attempts(session, webhook_id, None, 10)
    assert [(row["status"], row["response"]) for row in log] == [(200, "thanks"), (302, "thanks"), (500, "thanks")]


async def test_rotation_signs_with_both_secrets_for_a_day(process: Runtime, egress: Egress, partner: Any) -> None:
    webhook_id, old = await subscribe(process, partner.url, "loyalty.*")
    async with process.database.write() as session:
        webhook = await service.find(session, webhook_id)
        new, expires_at = await service.rotate(session, key_of(settings_of(process)), webhook)
    assert timedelta(hours=23) < expires_at - datetime.now(UTC) < timedelta(hours=25)
    await say(process, earned())
    await deliver_once(process, egress)
    [(headers, body)] = partner.got
    lower = {name.lower(): value for name, value in headers.items()}
    for secret in (old, new):
        Webhook(secret).verify(body.decode(), lower)
    newest = lower["webhook-signature"].split(" ")[0]
    Webhook(new).verify(body.decode(), {**lower, "webhook-signature": newest})


async def test_gone_disables_the_endpoint_and_says_so(process: Runtime, egress: Egress, partner: Any) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "loyalty.*")
    partner.answers = [(410, {})]
    await say(process, earned())
    await deliver_once(process, egress)
    async with process.database.read() as session:
        webhook = await service.find(session, webhook_id)
        said = (await session.execute(text("SELECT subject FROM outbox"))).scalars().all()
    assert (webhook.disabled, webhook.disabled_reason) == (True, "the endpoint answered 410 Gone")
    assert said == ["integrations.webhook.disabled.v1"]
    await make_due(process)
    assert await deliver_once(process, egress) == 0


async def test_a_partner_may_ask_for_time_or_to_be_spared(process: Runtime, egress: Egress, partner: Any) -> None:
    await subscribe(process, partner.url, "loyalty.*")
    partner.answers = [(429, {"Retry-After": "3600"}), (400, {"webhook-delivery": "abort-message"})]
    await say(process, earned())
    await deliver_once(process, egress)
    async with process.database.read() as session:
        next_at = (await session.execute(text("SELECT next_at FROM delivery"))).scalar_one()
    assert next_at - datetime.now(UTC) > timedelta(minutes=59)
    await make_due(process)
    await deliver_once(process, egress)
    assert await state(process) == [("aborted", 2)]


async def test_a_dead_partner_is_paused_and_does_not_hold_up_the_others(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    dead, _ = await subscribe(process, "http://127.0.0.1:9/hook", "loyalty.*")
    await subscribe(process, partner.url, "loyalty.*")
    await say(process, *(earned() for _ in range(20)))
    while await deliver_once(process, egress):
        pass
    assert len(partner.got) == 20
    async with process.database.read() as session:
        webhook = await service.find(session, dead)
        tried = (await session.execute(text("SELECT count(*) FROM attempt WHERE status IS NULL"))).scalar_one()
    assert webhook.paused_until is not None
    assert webhook.paused_until > datetime.now(UTC)
    assert 5 <= tried < 20


async def test_after_the_last_try_a_message_is_kept_and_can_be_recovered(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "loyalty.*")
    rounds = len(settings_of(process).webhook_retries) + 1
    partner.answers = [(500, {})] * rounds
    await say(process, earned())
    for _ in range(rounds):
        assert await deliver_once(process, egress) == 1
        await make_due(process)
    assert await state(process) == [("failed", rounds)]
    async with process.database.write() as session:
        assert await service.resend(session, webhook_id, since=datetime.now(UTC) - timedelta(hours=1)) == 1
    await deliver_once(process, egress)
    assert await state(process) == [("delivered", 1)]
    async with process.database.write() as session:
        assert await service.resend(session, webhook_id, since=datetime.now(UTC) - timedelta(hours=1)) == 0


async def test_five_days_without_a_success_are_enough(process: Runtime, egress: Egress, partner: Any) -> None:
    webhook_id, _ = await subscribe(process, partner.url, "loyalty.*")
    async with process.database.write() as session:
        await session.execute(text("UPDATE webhook SET failing_since = now() - interval '6 days'"))
    partner.answers = [(500, {})]
    await say(process, earned())
    await deliver_once(process, egress)
    async with process.database.read() as session:
        assert "five days" in str((await service.find(session, webhook_id)).disabled_reason)


async def test_a_process_that_dies_with_deliveries_in_hand_gives_them_back(
    process: Runtime, egress: Egress, partner: Any
) -> None:
    await subscribe(process, partner.url, "loyalty.*")
    await say(process, earned())
    async with process.database.write() as session:
        assert len(await queries.claim(session, 10)) == 1  # and then nothing: killed
    assert await deliver_once(process, egress) == 0
    await make_due(process)  # the lease runs out
    assert await deliver_once(process, egress) == 1
