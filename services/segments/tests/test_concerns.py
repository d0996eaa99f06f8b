"""Who is asked only for what has changed ends where who is asked for everything does, and is never woken too late."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common import derive, timers
from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.contracts.segments import MembershipEntered, MembershipExited, MembershipsChanged
from perennial.common.derive import mark
from perennial.common.ids import uuid7
from perennial.common.messaging.batch import react
from perennial.common.messaging.worker import reactions_of
from perennial.common.operations import worker as operations
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified, tracked
from perennial.common.testing.previews import EVERYBODY
from perennial.segments.definitions import service as definitions
from perennial.segments.main import SERVICE
from perennial.segments.memberships import service
from perennial.segments.memberships.asking import Asked, Segment

Settle = Callable[[], Awaitable[None]]
Do = Callable[..., Awaitable[None]]
PEOPLE, NAMES = 3, ("A", "B", "C")

who = st.integers(0, PEOPLE - 1)
name = st.sampled_from(NAMES)
window = st.sampled_from(["P2D", "P7D", "P30D"])
few = st.dictionaries(st.sampled_from(["eq", "gte", "lt"]), st.integers(0, 2), min_size=1, max_size=1)
amount = st.fixed_dictionaries({"property": st.just("price"), "gte": st.integers(1, 5)})
priced = st.just([{"property": "price", "gte": 2}])
leaf = st.one_of(
    st.fixed_dictionaries({"event": name, "count": few}, optional={"within": window, "where": priced}),
    st.fixed_dictionaries({"event": name, "within": window, "sum": amount}),
    st.fixed_dictionaries({"event": name, "last": st.just({"within_last": "P7D"})}),
    st.fixed_dictionaries({"event": name, "within": st.just({"this": "week"})}),
    st.tuples(name, name, window).map(
        lambda at: {"event": at[0], "not_followed_by": {"event": at[1], "within": "P2D"}, "within": at[2]}
    ),
    st.tuples(name, name, window).map(lambda at: {"sequence": [{"event": at[0]}, {"event": at[1]}], "within": at[2]}),
    st.sampled_from(["pro", "max"]).map(lambda plan: {"trait": "plan", "is": plan}),
    st.just({"trait": "rfm.f", "exists": True}),
    st.just({"segment": "before"}),
)
rule = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"all": rules}),
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"any": rules}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=4,
)
COMMON: list[dict[str, Any]] = [
    {"event": "A", "within": "P7D"},
    {"segment": "before"},
    {"event": "B", "within": "P2D", "count": {"gte": 2}},
    {"event": "C", "within": {"this": "week"}},
]
event = st.tuples(st.just("event"), who, st.tuples(name, st.integers(-48, 24 * 20), st.integers(0, 4)))
steps = st.lists(
    st.one_of(
        event,
        event,
        event,
        st.tuples(st.just("plan"), who, st.sampled_from(["pro", "max", None])),
        st.tuples(st.just("zone"), who, st.sampled_from(["Asia/Shanghai", "Pacific/Pago_Pago"])),
        st.tuples(st.just("order"), who, who),
        st.tuples(st.just("belongs"), who, who),
        st.tuples(st.just("hours"), st.integers(1, 200), st.none()),
        st.tuples(st.just("fire"), who, st.none()),
        st.tuples(st.just("derive"), who, st.none()),
        st.tuples(st.just("version"), st.integers(0, 5), leaf.filter(lambda one: "segment" not in one)),
    ),
    min_size=4,
    max_size=20,
)


class World:
    """Customers of one example, and what is done to them."""

    def __init__(self, runtime: ServiceRuntime, settle: Settle) -> None:
        self.runtime, self.settle = runtime, settle
        self.vias, self.owner = [uuid7() for _ in range(PEOPLE)], list(range(PEOPLE))
        self.segments: list[UUID] = []
        self._versions, self._orders = count(2), [uuid4().hex for _ in range(PEOPLE)]

    async def hear(self, *events: Any) -> None:
        """Handled, and not derived yet."""
        async with self.runtime.database.write() as session:
            await session.execute(text("SELECT 1"))
            await react(self.runtime, session, reactions_of(SERVICE), events)

    async def define(self, rules: list[dict[str, Any]]) -> None:
        """Each rule may mention the segment before it."""
        for place, document in enumerate(rules):
            async with self.runtime.database.write() as session:
                self.segments.append(
                    await definitions.define(session, EVERYBODY, f"segment {place}", self.named(document, place))
                )

    def named(self, document: dict[str, Any], place: int) -> dict[str, Any]:
        """The rule with an id in the place of the word."""
        if not place:
            return json.loads(json.dumps(document).replace('{"segment": "before"}', '{"everyone": true}'))  # type: ignore[no-any-return]
        return json.loads(json.dumps(document).replace('"before"', f'"{self.segments[place - 1]}"'))  # type: ignore[no-any-return]

    async def tell(self, verb: str, one: int, more: Any) -> None:
        """One step of the story."""
        now = datetime.now(UTC)
        via = self.vias[one % PEOPLE]
        if verb == "event":
            called, hours, price = more
            await self.hear(tracked(called, {"price": price}, via=via, at=now - timedelta(hours=hours)))
        elif verb in {"plan", "zone"}:
            await self.hear(identified({"plan" if verb == "plan" else "timezone": more}, via=via, at=now))
        elif verb == "order":  # two customers may speak of one order
            said = {"order_id": self._orders[more], "revenue": 5}
            await self.hear(tracked("Order Completed", said, via=via, at=now - timedelta(days=more), source="shop"))
        elif verb == "belongs":
            await self._belongs(one, more)
        elif verb == "hours":
            await self._pass(one)
        elif verb == "fire":
            await self._fire()
        elif verb == "derive":
            await self.derive()
        elif verb == "version" and one < len(self.segments):
            async with self.runtime.database.write() as session:
                row = await definitions.find_locked(session, self.segments[one])
                await definitions.change(session, EVERYBODY, row, None, more)
            while await operations.step_once(self.runtime):
                pass

    async def _belongs(self, one: int, more: int) -> None:
        alone = self.owner.count(one) == (self.owner[one] == one)
        if more == one or (alone and self.owner[more] == more):
            self.owner[one] = more
            said = [Assignment(via=self.vias[one], customer=self.vias[more], version=next(self._versions))]
            await self.hear(IdentifiersAssigned(assignments=said))

    async def _pass(self, hours: int) -> None:
        """Time goes by: whatever bears a time is so much longer ago."""
        async with self.runtime.database.write() as session:
            for table, column in (("event", "at"), ("timer", "due_at"), ("purchase", "completed_at")):
                statement = f"UPDATE {table} SET {column} = {column} - make_interval(hours => :hours)"
                await session.execute(text(statement), {"hours": hours})

    async def _fire(self) -> None:
        async with self.runtime.database.write() as session:
            rows = await session.execute(
                text("DELETE FROM timer WHERE kind = 'flip' AND due_at <= now() RETURNING kind, key, due_at, payload")
            )
            due = [timers.Timer(row.kind, row.key, row.due_at, {"customer": row.payload["customer"]}) for row in rows]
            await service.flip(session, due)

    async def derive(self) -> None:
        """Whoever is marked."""
        async with self.runtime.database.write() as session:
            await session.execute(text("UPDATE stale SET at = now()"))
            assert SERVICE.derive is not None
            while await derive.derive_once(session, SERVICE.derive):
                pass

    async def shown(self) -> tuple[set[tuple[UUID, UUID]], dict[str, datetime]]:
        """Memberships, and when timers are due."""
        async with self.runtime.database.read() as session:
            members = await session.execute(text("SELECT segment_id, customer_id FROM membership"))
            waiting = await session.execute(text("SELECT key, due_at FROM timer WHERE kind = 'flip'"))
            return {(row[0], row[1]) for row in members}, {row[0]: row[1] for row in waiting}

    async def ask_everything(self) -> None:
        """Every customer, for every segment."""
        async with self.runtime.database.write() as session:
            await mark(session, self.vias, live=False)
        await self.derive()

    async def forget(self) -> None:
        """The next example has its own."""
        async with self.runtime.database.write() as session:
            for table in ("membership", "segment_version", "stale", "operation", "timer", "event", "trait", "purchase"):
                await session.execute(text(f"DELETE FROM {table}"))
            await session.execute(text("DELETE FROM segment"))


@settings(
    max_examples=30, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(rules=st.lists(rule, min_size=1, max_size=2), story=steps, hasty=st.booleans(), fired=st.booleans())
async def test_who_is_asked_for_what_has_changed_ends_where_all_are_asked(
    rules: list[dict[str, Any]], story: list[tuple[str, int, Any]], hasty: bool, fired: bool, runtime: ServiceRuntime,
    settle: Settle,
) -> None:  # fmt: skip
    world = World(runtime, settle)
    await world.forget()
    await world.hear(*(tracked("Hello", via=via, at=datetime.now(UTC) - timedelta(days=90)) for via in world.vias))
    await world.hear(identified({"plan": "free"}, via=world.vias[0], at=datetime.now(UTC) - timedelta(days=90)))
    await world.define([*COMMON, *rules])
    await settle()
    for step in story:
        await world.tell(*step)
        if hasty:  # else the marks of many steps are one
            await world.derive()
    if fired:
        await world.tell("fire", 0, None)
    await world.derive()
    members, waiting = await world.shown()
    await world.ask_everything()
    wanted, exact = await world.shown()
    assert members == wanted
    late = {key: (waiting.get(key), at) for key, at in exact.items() if key not in waiting or waiting[key] > at}
    assert late == {}


async def test_who_appears_is_asked_for_everything_at_the_first_live_event(
    runtime: ServiceRuntime, settle: Settle, hear: Do
) -> None:
    """And is announced: who is in a segment for what they did not do waits for no import to settle."""
    world = World(runtime, settle)
    await world.define([{"not": {"event": "A"}}])
    await settle()
    fresh = uuid7()
    await world.hear(IdentifiersAssigned(assignments=[Assignment(via=fresh, customer=fresh, version=1)]))
    await world.hear(tracked("Seen", via=fresh))
    async with runtime.database.write() as session:
        assert SERVICE.derive is not None
        await derive.derive_once(session, SERVICE.derive)
        subjects = (await session.execute(text("SELECT subject FROM outbox"))).scalars().all()
    assert (await world.shown())[0] == {(world.segments[0], fresh)}
    assert MembershipEntered.subject in subjects


async def test_a_refund_told_by_a_server_moves_the_standing_of_who_has_bought(
    runtime: ServiceRuntime, settle: Settle, hear: Do
) -> None:
    world = World(runtime, settle)
    await world.define([{"trait": "rfm.f", "exists": True}])
    buyer, server = world.vias[:2]
    await hear(tracked("Order Completed", {"order_id": "1", "revenue": 5}, via=buyer, source="shop"))
    await settle()
    async with runtime.database.write() as session:
        await session.execute(text("DELETE FROM stale"))
    await world.hear(tracked("Order Refunded", {"order_id": "1"}, via=server, source="shop"))
    async with runtime.database.read() as session:
        marked = await session.execute(text("SELECT customer_id FROM stale WHERE live ORDER BY id"))
        assert buyer in marked.scalars().all()


async def test_what_is_told_is_what_the_contracts_say(runtime: ServiceRuntime, settle: Settle, hear: Do) -> None:
    """The facts are encoded without a model for each."""
    world = World(runtime, settle)
    await world.define([{"event": "A", "count": {"eq": 1}}])
    await settle()
    via = world.vias[0]
    await hear(tracked("A", via=via))
    await hear(tracked("A", via=via))
    async with runtime.database.read() as session:
        found = await session.execute(
            text("SELECT event_id, subject, headers, body FROM outbox WHERE subject LIKE 'segments.m%' ORDER BY id")
        )
        rows = found.all()
    contracts = {contract.subject: contract for contract in (MembershipsChanged, MembershipEntered, MembershipExited)}
    changed = [row.subject for row in rows]
    assert changed == [MembershipsChanged.subject, MembershipEntered.subject, MembershipsChanged.subject,
                       MembershipExited.subject]  # fmt: skip
    for row in rows:
        fact = contracts[row.subject].model_validate_json(row.body)
        assert msgspec.json.decode(row.body) == msgspec.json.decode(fact.model_dump_json())
        assert (fact.id, row.headers["ce-id"], row.headers["ce-type"]) == (row.event_id, str(fact.id), row.subject)
        assert datetime.fromisoformat(row.headers["ce-time"]) == fact.occurred_at


async def test_only_what_a_change_concerns_is_asked_and_an_earlier_timer_stands(
    runtime: ServiceRuntime, settle: Settle, hear: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer of B stands when A happens; who mentions a segment is asked with it."""
    world = World(runtime, settle)
    await world.forget()
    via, at = world.vias[0], datetime.now(UTC)
    await hear(tracked("Hello", via=via), identified({"plan": "free"}, via=world.vias[1]))
    await world.define([
        {"event": "A", "within": "P7D"}, {"segment": "before"}, {"event": "B", "within": "P2D"},
        {"trait": "plan", "is": "pro"}, {"event": "A", "within": {"this": "week"}},
    ])  # fmt: skip
    await settle()
    asked: list[UUID] = []
    real = Asked.ask

    def ask(self: Asked, place: int, segment: Segment, *args: Any) -> None:
        asked.append(segment.id)
        real(self, place, segment, *args)

    monkeypatch.setattr(Asked, "ask", ask)
    first, mentions, second, plan, local = world.segments
    for said, concerned in (
        (tracked("B", via=via, at=at), {second}),
        (tracked("A", via=via, at=at), {first, mentions, local}),
        (identified({"plan": "pro"}, via=via, at=at), {plan}),
        (identified({"timezone": "Asia/Shanghai"}, via=via, at=at), {local}),
    ):
        asked.clear()
        await hear(said)
        assert set(asked) == concerned
        members, waiting = await world.shown()
        assert waiting[str(via)] <= at + timedelta(days=2)
    assert members == {(segment, via) for segment in world.segments}


async def test_who_cannot_change_by_what_happened_is_not_asked(
    runtime: ServiceRuntime, settle: Settle, hear: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is in by having done it stays in when they do it again, and nothing is read of them for that."""
    world = World(runtime, settle)
    await world.forget()
    via, week = world.vias[0], {"within": "P7D"}
    await hear(tracked("Hello", via=via))
    await world.define([
        {"event": "A", **week}, {"not": {"event": "A", **week, "count": {"gte": 1}}},
        {"all": [{"event": "A", **week}, {"event": "B", **week, "count": {"eq": 0}}]},
        {"event": "A", "count": {"eq": 2}},
    ])  # fmt: skip
    await settle()
    asked: list[UUID] = []
    real = Asked.ask

    def ask(self: Asked, place: int, segment: Segment, *args: Any) -> None:
        asked.append(segment.id)
        real(self, place, segment, *args)

    monkeypatch.setattr(Asked, "ask", ask)
    has, has_not, not_yet, twice = world.segments
    for name, concerned, members in (
        ("A", {has, has_not, not_yet, twice}, {has, not_yet}),
        ("A", {twice}, {has, not_yet, twice}),
        ("B", {not_yet}, {has, twice}),
        ("B", set(), {has, twice}),
        ("A", {not_yet, twice}, {has}),
    ):
        asked.clear()
        await hear(tracked(name, via=via, at=datetime.now(UTC)))
        assert (set(asked), (await world.shown())[0]) == (concerned, {(segment, via) for segment in members})


async def test_what_serves_is_read_once_as_long_as_it_stays(
    runtime: ServiceRuntime, settle: Settle, client: Any
) -> None:
    world = World(runtime, settle)
    await world.define([{"event": "A"}, {"event": "B"}])
    await settle()

    async def serving() -> Any:
        async with runtime.database.read() as session:
            return await service.live_segments(session)

    known = await serving()
    assert await serving() is known
    renamed = await client.patch(
        f"/v1/segments/{world.segments[0]}", json={"name": "another\nname"}, headers={"If-Match": "*"}
    )
    assert renamed.status_code == 200, renamed.text
    assert (await serving()).names[world.segments[0]] == "another\nname"
    assert await serving() is await serving()
