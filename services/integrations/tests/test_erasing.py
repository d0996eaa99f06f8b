"""A person is forgotten: what waits for partners and the log of it go; that they must forget, too, is delivered."""

from typing import Any

from sqlalchemy import text

from perennial.common.contracts.base import utc_now
from perennial.common.contracts.identity import CustomerErased
from perennial.common.contracts.profile import TraitsChanged
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.integrations import service
from perennial.integrations.delivery import key_of, settings_of
from perennial.integrations.main import SERVICE


async def test_messages_about_a_person_go_and_the_word_to_forget_stays(runtime: ServiceRuntime, session: Any) -> None:
    ada, grace = uuid7(), uuid7()
    await service.create(
        session, key_of(settings_of(runtime)), url="https://partner.example/hook", description="", fields=["*"],
        event_types=["profile.*", "identity.*"],
    )  # fmt: skip
    facts = [TraitsChanged(via=whose, customer=whose, traits={"name": f"n {whose}"}) for whose in (ada, grace)]
    await react(runtime, session, reactions_of(SERVICE), facts)
    tried = "INSERT INTO attempt (webhook_id, message_id, latency_ms, response) SELECT webhook_id, message_id, 1, 'hm'"
    await session.execute(text(f"{tried} FROM delivery"))
    told = CustomerErased(erasure_id=uuid7(), customer=ada, vias=[ada], at=utc_now(), digests=["00ff"])
    await react(runtime, session, reactions_of(SERVICE), [told])
    await session.flush()
    await worker.run_all(runtime)
    left = set((await session.execute(text("SELECT id FROM message"))).scalars())
    assert left == {facts[1].id, told.id}
    deliveries = set((await session.execute(text("SELECT message_id FROM delivery"))).scalars())
    assert deliveries == left
    assert set((await session.execute(text("SELECT message_id FROM attempt"))).scalars()) == {facts[1].id}
    body = (await session.execute(text("SELECT body FROM message WHERE id = :id"), {"id": told.id})).scalar_one()
    assert b"00ff" not in bytes(body), "the keyed hashes are for who sees sensitive fields"
