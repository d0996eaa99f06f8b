"""Tags, over merges, splits and statements in any order, held against an oracle that knows no SQL."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common import derive as common
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.db import Database
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.profile.main import SERVICE
from perennial.profile.rows.service import DERIVATION
from perennial.profile.tags.derivation import service as derivation

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]
Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]
NOW = datetime.now(UTC)
PEOPLE = 4
EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "25"))
DEFINED: dict[str, dict[str, Any]] = {
    "vip": {"kind": "manual"},
    "pro": {"kind": "rule", "rule": {"trait": "plan", "is": "pro"}},
    "seen_twice": {"kind": "rule", "rule": {"event": "Seen", "within": "P30D", "count": {"gte": 2}}},
    "quiet_vip": {
        "kind": "rule",
        "rule": {"all": [{"trait": "tags", "contains": "vip"}, {"not": {"trait": "tags", "contains": "seen_twice"}}]},
    },
    "talks_of_pets": {"kind": "words", "words": {"topics": ["pet"], "threshold": 1.9, "half_life": "P365D"}},
}
who = st.integers(0, PEOPLE - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("seen"), who, st.integers(0, 60)),
        st.tuples(st.just("plan"), who, st.sampled_from(["pro", "max", None])),
        st.tuples(st.just("pet"), who, st.integers(0, 5)),
        st.tuples(st.just("give"), who, st.booleans()),
        st.tuples(st.just("belongs"), who, who),
        st.tuples(st.just("derive"), who, who),
    ),
    max_size=14,
)


@dataclass
class Oracle:
    """Everything that was said, under who said it; whose that is, a list tells."""

    owner: list[int] = field(default_factory=lambda: list(range(PEOPLE)))
    seen: list[tuple[int, int]] = field(default_factory=list)
    plans: list[tuple[int, int, str | None]] = field(default_factory=list)
    pets: list[int] = field(default_factory=list)
    given: dict[int, tuple[int, bool]] = field(default_factory=dict)

    def tags(self, customer: int) -> set[str]:
        """What a customer shows today."""
        mine = {via for via in range(PEOPLE) if self.owner[via] == customer}
        found = set()
        newest = max((said for via, said in self.given.items() if via in mine), default=(0, False))
        if newest[1]:
            found.add("vip")
        plans = [(place, plan) for place, via, plan in self.plans if via in mine]
        if plans and max(plans)[1] == "pro":
            found.add("pro")
        if sum(via in mine and days < 30 for via, days in self.seen) >= 2:
            found.add("seen_twice")
        if "vip" in found and "seen_twice" not in found:
            found.add("quiet_vip")
        if sum(via in mine for via in self.pets) >= 2:
            found.add("talks_of_pets")
        return found


@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(story=steps)
async def test_whatever_happens_in_whatever_order(
    story: list[tuple[str, int, Any]], hear: Hear, assign: Hear, derive: Derive, listen: Derive, shown: Shown,
    client: httpx.AsyncClient, runtime: ServiceRuntime,
) -> None:  # fmt: skip
    await prepare(client, runtime)
    vias, oracle, version = [uuid7() for _ in range(PEOPLE)], Oracle(), 2
    await hear(*(tracked("Hello", via=via, at=NOW) for via in vias))
    for place, (verb, one, more) in enumerate(story):
        if verb == "seen":
            oracle.seen.append((one, more))
            await hear(tracked("Seen", via=vias[one], at=NOW - timedelta(days=more)))
        elif verb == "plan":
            oracle.plans.append((place, one, more))
            at = NOW - timedelta(days=1) + timedelta(minutes=place)
            await hear(identified({"plan": more}, via=vias[one], at=at))
        elif verb == "pet":
            oracle.pets.append(one)
            await hear(tracked("Products Searched", {"query": "dog"}, via=vias[one], at=NOW - timedelta(days=more)))
            await listen()
        elif verb == "give":
            oracle.given[oracle.owner[one]] = (place, more)
            method = "PUT" if more else "DELETE"
            body: dict[str, Any] | None = {} if more else None
            answer = await client.request(method, f"/v1/customers/{vias[one]}/tags/vip", json=body)
            assert answer.status_code == 204, answer.text
        elif verb == "belongs" and (more == one or one not in oracle.owner[:one] + oracle.owner[one + 1 :]):
            # A customer bears the id of one of its identifiers, so nobody is given to one who is not their own.
            if more == one or oracle.owner[more] == more:
                oracle.owner[one], version = more, version + 1
                await assign(vias[more], vias[one], version=version)
        elif verb == "derive":
            await derive()
    await derive()
    found = await shown()
    wanted = {vias[own]: oracle.tags(own) for own in sorted(set(oracle.owner))}
    assert {via: found[via] for via in vias if via in found} == wanted


async def prepare(client: httpx.AsyncClient, runtime: ServiceRuntime) -> None:
    """Once for all examples."""
    if (await client.get("/v1/tags/vip")).status_code == 200:
        return
    for key, said in DEFINED.items():
        made = await client.post("/v1/tags", json={"key": key, "label": {"en": key}, "dimension": "value", **said})
        assert made.status_code == 201, made.text
    topic = {"label": {"en": "Pets"}, "terms": {"en": ["dog"]}}
    assert (await client.put("/v1/topics/pet", json=topic, headers={"If-None-Match": "*"})).status_code == 200


async def test_definitions_change_while_events_flow(committed: Database, settings: Any, monkeypatch: Any) -> None:
    """A derivation that read the definitions of before is followed by one that reads those of after."""
    runtime = ServiceRuntime(SERVICE, settings, committed, nats=None)  # type: ignore[arg-type]
    via = uuid7()

    async def said(*events: Any) -> None:
        async with committed.write() as session:
            await session.execute(text("SELECT 1"))
            await react(runtime, session, reactions_of(SERVICE), events)

    async def put(rule: str) -> None:
        async with committed.write() as session:
            await session.execute(
                text("""INSERT INTO tag_definition (key, label, about, dimension, kind, basis, origin)
                        VALUES ('pro', '{"en": "Pro"}', '{}', 'value', 'rule', CAST(:basis AS jsonb), 'own')
                        ON CONFLICT (key) DO UPDATE
                        SET basis = excluded.basis, version = tag_definition.version + 1"""),
                {"basis": '{"rule": {"trait": "plan", "is": "' + rule + '"}}'},
            )
            await common.mark(session, [via], live=False)

    await said(
        identified({"plan": "max"}, via=via),
        IdentifiersAssigned(assignments=[Assignment(via=via, customer=via, version=1)]),
    )
    await put("pro")
    began, go_on = asyncio.Event(), asyncio.Event()
    real = derivation.evaluate

    async def slow(*args: Any) -> Any:
        began.set()
        await go_on.wait()
        return await real(*args)

    async def derived() -> None:
        async with committed.write() as session:
            await session.execute(text("UPDATE stale SET at = now() - interval '1 second'"))
            while await common.derive_once(session, DERIVATION):
                pass

    monkeypatch.setattr(derivation, "evaluate", slow)
    first = asyncio.create_task(derived())
    await began.wait()
    await put("max")
    go_on.set()
    await first
    await derived()
    async with committed.read() as session:
        assert (await session.execute(text("SELECT tags FROM customer"))).scalar_one() == ["pro"]
