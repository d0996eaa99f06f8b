"""One endpoint does not pay for another, nor a message for the one before it."""

import os
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.contracts.loyalty import PointsEarned
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.integrations import queries, service, signing
from perennial.integrations.delivery import deliver_once, key_of, settings_of
from perennial.integrations.egress import Egress, Result

RETRIES = [5.0]
OK = Result(200, 1)
DECLINED = Result(400, 1, abort=True)


async def subscribe(process: Runtime, url: str = "http://127.0.0.1:9/hook") -> UUID:
    key = key_of(settings_of(process))
    async with process.database.write() as session:
        webhook, _ = await service.create(session, key, url=url, event_types=["loyalty.*"], description="")
        return webhook.id


async def say(process: Runtime, messages: int = 1) -> None:
    earned: dict[str, Any] = {"via": uuid7(), "customer": uuid7(), "points": 5, "reason": "order"}
    async with process.database.write() as session:
        await service.enqueue(session, [PointsEarned(posting_id=uuid7(), **earned) for _ in range(messages)])


async def make_due(process: Runtime) -> None:
    async with process.database.write() as session:
        await session.execute(text("UPDATE delivery SET next_at = now()"))
        await session.execute(text("UPDATE webhook SET paused_until = NULL"))


async def state(process: Runtime) -> list[tuple[str, int]]:
    async with process.database.read() as session:
        rows = await session.execute(text("SELECT state, attempts FROM delivery ORDER BY message_id"))
        return [(row.state, row.attempts) for row in rows]


async def claim(process: Runtime, limit: int = 32) -> list[service.Sending]:
    async with process.database.write() as session:
        return await service.claim(session, limit)


async def settle(process: Runtime, claimed: list[service.Sending], result: Result) -> None:
    async with process.database.write() as session:
        await service.settle(session, [(row, result) for row in claimed], RETRIES)


async def endpoint(process: Runtime, webhook_id: UUID) -> Any:
    async with process.database.read() as session:
        return await service.find(session, webhook_id)


async def test_a_secret_that_does_not_open_fails_alone(process: Runtime, egress: Egress, partner: Any) -> None:
    broken = await subscribe(process, partner.url)
    bare = await subscribe(process, partner.url)
    await subscribe(process, partner.url)
    async with process.database.write() as session:
        sealed = signing.seal(os.urandom(32), signing.new_secret())
        await session.execute(
            text("UPDATE webhook_secret SET sealed = :sealed WHERE webhook_id = :id"), {"sealed": sealed, "id": broken}
        )
        await session.execute(text("DELETE FROM webhook_secret WHERE webhook_id = :id"), {"id": bare})
    await say(process)
    assert await deliver_once(process, egress) == 3
    assert len(partner.got) == 1
    for webhook_id in (broken, bare):
        async with process.database.read() as session:
            [row] = await queries.attempts(session, webhook_id, None, 10)
        assert "secret" in row["error"]
        assert (await endpoint(process, webhook_id)).failing_since is not None


async def test_long_queues_do_not_starve_the_others(process: Runtime) -> None:
    hooks = [await subscribe(process) for _ in range(9)]
    await say(process, 20)
    rounds = []
    for _ in range(2):
        claimed = await claim(process)
        rounds.append({row.webhook_id for row in claimed})
        await settle(process, claimed, OK)
    assert [len(served) for served in rounds] == [8, 8]
    assert set.union(*rounds) == set(hooks)


async def test_a_partner_that_declines_messages_is_well(process: Runtime) -> None:
    hook = await subscribe(process)
    await say(process, 12)
    for _ in range(3):
        claimed = await claim(process)
        assert len(claimed) == 4
        await settle(process, claimed, DECLINED)
    found = await endpoint(process, hook)
    assert (found.failures, found.failing_since, found.paused_until, found.disabled) == (0, None, None, False)
    assert await state(process) == [("aborted", 1)] * 12


async def test_declining_does_not_undo_gone_nor_a_plea_for_time(process: Runtime) -> None:
    hook = await subscribe(process)
    await say(process)
    await settle(process, await claim(process), Result(429, 1, abort=True))
    assert (await endpoint(process, hook)).paused_until is not None
    await make_due(process)
    await say(process)
    await settle(process, await claim(process), Result(410, 1, abort=True))
    assert (await endpoint(process, hook)).disabled


async def test_a_message_sent_again_is_not_settled_by_the_answer_to_the_attempt_before(process: Runtime) -> None:
    hook = await subscribe(process)
    await say(process)
    [first] = await claim(process)
    async with process.database.write() as session:
        assert await service.resend(session, hook, message=first.message_id) == 1
    await settle(process, [first], OK)
    assert await state(process) == [("pending", 0)]
    [second] = await claim(process)
    await settle(process, [first], Result(500, 1))  # an answer that was very late
    await settle(process, [second], OK)
    assert await state(process) == [("delivered", 1)]
    async with process.database.read() as session:
        assert len(await queries.attempts(session, hook, None, 10)) == 3


async def test_what_is_shown_of_an_endpoint_never_changes_without_its_version(process: Runtime) -> None:
    hook = await subscribe(process)
    versions = [1]
    for result in (OK, Result(500, 1), Result(500, 1), OK, OK):
        await say(process)
        await make_due(process)
        await settle(process, await claim(process), result)
        versions.append((await endpoint(process, hook)).version)
    assert versions == [1, 1, 2, 2, 3, 3]
