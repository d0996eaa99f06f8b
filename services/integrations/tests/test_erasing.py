"""A person is forgotten: what waits for partners and the log of it go; that they must forget, too, is delivered."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.identity import Assignment, CustomerErased, IdentifiersAssigned
from perennial.common.contracts.profile import (
    ComputedTraits,
    ComputedTraitsChanged,
    CustomerTags,
    TagsChanged,
    TraitsChanged,
)
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.privacy import worker
from perennial.common.service import ServiceRuntime
from perennial.integrations import disclosure, service
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


ADA, GRACE = uuid7(), uuid7()


def lists() -> list[Event]:
    """Facts that list both, and one of each kind that lists the one alone."""
    both = (ADA, GRACE)
    traits = [ComputedTraits(customer=whose, version=1, traits={"name": f"n {whose}"}) for whose in both]
    maps = [Assignment(via=whose, customer=whose, version=1, digest=f"d {whose}") for whose in both]
    stages = [CustomerTags(customer=whose, version=1, tags=[f"t {whose}"]) for whose in both]
    return [
        ComputedTraitsChanged(customers=traits),
        IdentifiersAssigned(assignments=maps),
        TagsChanged(customers=stages),
        ComputedTraitsChanged(customers=traits[:1]),
        IdentifiersAssigned(assignments=maps[:1]),
    ]


async def forget_ada(runtime: ServiceRuntime, session: Any) -> None:
    told = CustomerErased(erasure_id=uuid7(), customer=ADA, vias=[ADA], at=utc_now())
    await react(runtime, session, reactions_of(SERVICE), [told])
    await session.flush()
    await worker.run_all(runtime)


@pytest.mark.parametrize("fields", [["*"], ["name"], []])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_person_is_cut_out_of_lists_and_the_others_stay(
    runtime: ServiceRuntime, session: Any, fields: list[str], begun: bool
) -> None:
    facts = lists()
    types = sorted({fact.subject for fact in facts})
    await service.create(
        session, key_of(settings_of(runtime)), url="https://partner.example/hook", description="", fields=fields,
        event_types=types,
    )  # fmt: skip
    await react(runtime, session, reactions_of(SERVICE), facts)
    if begun:
        assert {str(ADA) in sending.body.decode() for sending in await all_of(session)} == {True}
        tried = (
            "INSERT INTO attempt (webhook_id, message_id, latency_ms, response) SELECT webhook_id, message_id, 1, :r"
        )
        await session.execute(text(f"{tried} FROM delivery"), {"r": f"got {ADA}"})
    await forget_ada(runtime, session)
    sent = {sending.message_id: json.loads(sending.body) for sending in await all_of(session)}
    assert set(sent) == {fact.id for fact in facts[:3]}
    for fact in facts[:3]:
        assert sent[fact.id] == json.loads(expected(fact, fields)), "as if the others alone had been listed"
    kept = await session.execute(text("SELECT body, personal_body FROM message"))
    assert str(ADA) not in "".join(bytes(part or b"").decode() for row in kept for part in row)
    assert set((await session.execute(text("SELECT response FROM attempt"))).scalars()) <= {""}


async def all_of(session: Any) -> list[service.Sending]:
    await session.execute(text("UPDATE delivery SET next_at = now()"))
    found: list[service.Sending] = []
    while claimed := await service.claim(session, 32):
        found += claimed
    return found


def expected(fact: Event, fields: list[str]) -> bytes:
    whole = disclosure.clear(fact)
    data = {
        name: [item for item in items if item["customer"] == str(GRACE)] for name, items in whole["data"].items()
    }  # fmt: skip
    return disclosure.encode(disclosure.masked({**whole, "data": data}, fields))
