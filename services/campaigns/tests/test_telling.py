"""What campaigns says of its journeys: which segments each asks for; and entries into them that are said again."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from perennial.campaigns import worker
from perennial.campaigns.journeys import telling
from perennial.campaigns.testing.world import Json, World, definition, message, wait
from perennial.common.contracts.base import RuleState
from perennial.common.contracts.campaigns import RulesChanged
from perennial.common.contracts.segments import MembershipEntered

Said = Callable[[], Awaitable[list[RuleState]]]
ANY = {"If-Match": "*"}


@pytest.fixture
def said(world: World) -> Said:
    """What was said of rules since the last time."""

    async def found() -> list[RuleState]:
        async with world.database.write() as session:
            rows = await session.execute(
                text("DELETE FROM outbox WHERE subject = :subject RETURNING id, body"),
                {"subject": RulesChanged.subject},
            )
            facts = [RulesChanged.model_validate(json.loads(row.body)) for row in sorted(rows, key=lambda row: row.id)]
        return [state for fact in facts for state in fact.rules]

    return found


def asks(segment: UUID, name: str = "vip") -> Json:
    return {"id": name, "kind": "condition", "rule": {"not": {"segment": str(segment)}}, "no": "exit"}


async def test_a_journey_says_which_segments_it_begins_with_and_asks_for(client: httpx.AsyncClient, said: Said) -> None:
    lapsed, vip = uuid4(), uuid4()
    wanted = definition(asks(vip), message()) | {"trigger": {"segment": str(lapsed)}}
    made = await client.post("/v1/journeys", json={"name": "Win back", "definition": wanted})
    assert made.status_code == 201, made.text
    path = f"/v1/journeys/{made.json()['id']}"
    [drafted] = await said()
    assert (drafted.kind, drafted.id, drafted.name, drafted.state) == (
        "journey", made.json()["id"], "Win back", "draft",
    )  # fmt: skip
    assert set(drafted.segments) == {lapsed, vip}
    await client.post(f"{path}/publish")
    await client.post(f"{path}/pause")
    await client.delete(path, headers=ANY)
    states = await said()
    assert [state.state for state in states] == ["published", "paused", "archived"]
    assert [set(state.segments) for state in states] == [{lapsed, vip}, {lapsed, vip}, set()]
    versions = [state.version for state in (drafted, *states)]
    assert versions == sorted(set(versions)), "each is newer than the one before"


async def test_what_a_version_asks_counts_while_it_is_published_or_somebody_is_on_it(
    client: httpx.AsyncClient, world: World, said: Said
) -> None:
    vip = uuid4()
    journey = await world.journey(definition(wait("PT1H"), asks(vip), message()))
    await world.track("Product Added", await world.customer())
    await world.tick()
    path = f"/v1/journeys/{journey}"
    await said()
    await client.patch(path, json={"definition": definition(message())}, headers=ANY)
    [drafted] = await said()
    assert drafted.segments == [vip], "what is published asks still"
    await client.post(f"{path}/publish")
    [published] = await said()
    assert published.segments == [vip], "and somebody is on the version before"
    await world.pass_time(timedelta(hours=2))
    await world.tick()
    await telling.tell_all(world.runtime)
    [again] = await said()
    assert (again.segments, again.version) == ([], published.version), "everybody has left it"


async def test_every_journey_is_said_of_again(
    client: httpx.AsyncClient, world: World, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    segment = uuid4()
    made = [await world.journey(definition(asks(segment), message()), f"J{number}") for number in range(4)]
    await client.delete(f"/v1/journeys/{made[0]}", headers=ANY)
    before = {state.id: state for state in await said()}
    await telling.tell_all(world.runtime)
    again = await said()
    assert {state.id: state for state in again} == before
    assert len(again) == len(made)


@pytest.mark.parametrize("reentry", ["once", "after_exit", "always"])
@pytest.mark.parametrize("together", [True, False])
async def test_an_entry_that_is_announced_again_begins_no_second_walk(
    world: World, reentry: str, *, together: bool
) -> None:
    lapsed = uuid4()
    await world.journey(definition(message()) | {"trigger": {"segment": str(lapsed)}, "reentry": reentry})
    ada, bob = await world.customer(), await world.customer()

    async def enter(*facts: MembershipEntered) -> None:
        async with world.database.write() as session:
            await worker.join_segments(session, list(facts))
        await world.tick()

    def entry(customer: UUID, version: int = 1, **more: Any) -> MembershipEntered:
        fields = {"segment_id": lapsed, "segment_name": "lapsed", "customer": customer, "version": version}
        return MembershipEntered.model_validate(fields | more)

    first = entry(ada)
    again = entry(ada, announced=True, occurred_at=first.occurred_at)
    imported = entry(bob, announced=True)
    for facts in [[first, again, imported]] if together else [[first], [again], [imported]]:
        await enter(*facts)
    assert len(await world.enrolments()) == 2, "who entered by an import has never been on it"
    await enter(again.model_copy(update={"id": uuid4()}), imported.model_copy(update={"id": uuid4()}))
    assert len(await world.enrolments()) == 2
    await enter(entry(ada, version=3))
    assert len(await world.enrolments()) == (2 if reentry == "once" else 3), "another entry is another"
