"""An idempotent request's last words: its answer and what it says leave in one statement, once."""

import json
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from perennial.common.db import Database, WriteSession
from perennial.common.ids import uuid7
from perennial.common.outbox import emit, say
from perennial.common.packs import Said
from perennial.common.problems import Conflict
from perennial.common.testing.plugin import customer
from perennial.common.testing.probe import ThingDone
from perennial.common.web.idempotency import Once, _id

ONCE = Once(b"key", b"body")


class Done(BaseModel):
    """An answer."""

    id: UUID


async def said(session: WriteSession) -> int:
    return int((await session.execute(text("SELECT count(*) FROM outbox"))).scalar_one())


async def work(session: WriteSession, *, inside: bool = False) -> Done:
    done = Done(id=uuid7())
    if inside:
        async with session.begin_nested():
            await emit(session, ThingDone(what="pen"))
    else:
        await emit(session, ThingDone(what="pen"))
    return done


@pytest.mark.parametrize("inside", [False, True], ids=["plainly", "in a savepoint"])
async def test_what_is_said_leaves_with_the_answer(committed: Database, *, inside: bool) -> None:
    async with committed.write() as session:
        first = await ONCE.run(session, lambda: work(session, inside=inside))
    async with committed.write() as session:
        again = await ONCE.run(session, lambda: work(session, inside=inside))
        assert (await said(session), again.body) == (1, first.body)
        await emit(session, ThingDone(what="pen"))
        assert await said(session) == 2, "nothing is held back after it"


async def test_it_leaves_in_the_order_in_which_it_was_said(committed: Database) -> None:
    async def telling() -> Done:
        await emit(session, ThingDone(what="first"))
        second = ThingDone(what="second")
        await say(session, [Said(second.id, second.subject, "{}", second.model_dump_json().encode())])
        await emit(session, ThingDone(what="third"))
        return Done(id=uuid7())

    async with committed.write() as session:
        await ONCE.run(session, telling)
        bodies = (await session.execute(text("SELECT body FROM outbox ORDER BY id"))).scalars()
        assert [json.loads(bytes(body))["what"] for body in bodies] == ["first", "second", "third"]


async def test_what_is_said_in_vain_is_not_said_later(committed: Database) -> None:
    async with committed.write() as session:
        with pytest.raises(ZeroDivisionError):
            await ONCE.run(session, lambda: _failing(session))
        await ONCE.run(session, lambda: work(session))
        assert await said(session) == 1


async def _failing(session: WriteSession) -> Done:
    await work(session)
    raise ZeroDivisionError


async def test_an_answer_that_was_kept_between_the_look_and_the_lock(committed: Database) -> None:
    """The look's snapshot is older than its lock: who was that late takes the work back."""

    async def overtaken(session: WriteSession) -> Done:
        async with committed.write() as other:
            await other.execute(
                text("INSERT INTO idempotency (id, fingerprint, status, body) VALUES ('key', 'body', 201, '{}')")
            )
        return await work(session)

    with pytest.raises(Conflict) as refused:
        async with committed.write() as session:
            await ONCE.run(session, lambda: overtaken(session))
    assert refused.value.code == "in_flight"
    async with committed.write() as session:
        assert await said(session) == 0
        assert (await ONCE.run(session, lambda: work(session))).body == b"{}"


async def test_an_answer_that_was_kept_under_another_identifier_meanwhile(committed: Database) -> None:
    async with committed.write() as session:
        via = await customer(session)
        other = await customer(session, of=via)
    first, second = (Once(_id("customer", str(one), "do"), b"body", one, "do") for one in (via, other))

    async def overtaken(session: WriteSession) -> Done:
        async with committed.write() as meanwhile:
            await meanwhile.execute(
                text("INSERT INTO idempotency (id, fingerprint, status, body) VALUES (:id, 'body', 201, '{}')"),
                {"id": first.id},
            )
        return await work(session)

    with pytest.raises(Conflict):
        async with committed.write() as session:
            await second.run(session, lambda: overtaken(session))
    async with committed.write() as session:
        assert await said(session) == 0
        assert (await second.run(session, lambda: work(session))).body == b"{}"
