"""In whatever order events, repeats, merges, declarations and deaths come: it is what a naive look at them says."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection

from perennial.common import identity_map
from perennial.common.auth import Principal
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import tracked
from perennial.profile.computed import backfill, service
from perennial.profile.computed.derive import served, values
from perennial.profile.computed.jobs import build_once
from perennial.profile.computed.prune import prune
from perennial.profile.computed.schemas import ComputedIn
from perennial.profile.computed.testing.oracle import expected

Hear = Callable[..., Awaitable[None]]
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
EVERYBODY = Principal("staff", "tester", frozenset("*"), fields=frozenset("*"))
NOW = datetime.now(UTC).replace(hour=12, minute=20, second=0, microsecond=0)
VIAS = 3

BOUGHT: dict[str, Any] = {"events": ["Bought"]}
SPECS: dict[str, dict[str, Any]] = {
    "bought": {**BOUGHT, "function": "count"},
    "bought_red": {**BOUGHT, "function": "count", "where": [{"property": "colour", "is": "red"}], "window": "P3D"},
    "spent": {**BOUGHT, "function": "sum", "property": "price", "money": True},
    "spent_lately": {**BOUGHT, "function": "sum", "property": "price", "money": True, "window": "P60D"},
    "mean_price": {**BOUGHT, "function": "average", "property": "price", "window": "PT6H"},
    "lowest": {**BOUGHT, "function": "min", "property": "price", "window": "day"},
    "highest": {**BOUGHT, "function": "max", "property": "price"},
    "first_colour": {**BOUGHT, "function": "first", "property": "colour", "window": "P3D"},
    "last_colour": {**BOUGHT, "function": "last", "property": "colour"},
    "last_bought": {**BOUGHT, "function": "last", "window": "month"},
    "category": {**BOUGHT, "function": "most_frequent", "property": "products[].category"},
    "hour": {"types": ["track"], "function": "most_frequent", "property": "$hour", "window": "P60D"},
    "colours": {**BOUGHT, "function": "unique_list", "property": "colour", "window": "week"},
    "categories": {**BOUGHT, "function": "unique_count", "property": "products[].category"},
    "sources": {"events": ["Bought", "Looked"], "function": "breakdown", "property": "$source"},
    "red_share": {**BOUGHT, "function": "share", "having": [{"property": "colour", "is": "red"}]},
    "days_ago": {**BOUGHT, "function": "days_since"},
    "interval": {"types": ["page", "track"], "function": "mean_interval"},
    "visits": {"types": ["page"], "function": "sessions"},
    "visits_lately": {"types": ["page"], "function": "sessions", "window": "P3D"},
    "minutes": {"types": ["page", "track"], "function": "dwell"},
}


def _event(spec: tuple[Any, ...], number: int, vias: list[UUID]) -> ResolvedEvent:
    who, minutes, name, price, colour, category = spec
    at = NOW - timedelta(minutes=minutes)
    properties: dict[str, Any] = {"products": [{"category": category}, {"category": "tea"}]}
    if price is not None:
        properties |= {"price": price, "currency": "CNY" if price > 50 else "USD"}
    if colour:
        properties["colour"] = colour
    made = tracked(name, properties, via=vias[who], at=at, source="app" if who else "shop", message_id=f"m{number}")
    return msgspec.structs.replace(made, type="page", name=None) if name == "Page" else made


events = st.tuples(
    st.integers(0, VIAS - 1),
    st.one_of(st.integers(-90, 600), st.integers(0, 100_000)),
    st.sampled_from(["Bought", "Bought", "Looked", "Page"]),
    st.one_of(st.none(), st.sampled_from([0.1, 19.99, 20, 60.5])),
    st.sampled_from(["red", "blue", ""]),
    st.sampled_from(["tea", "cups", "pots"]),
)
actions = st.one_of(
    st.tuples(st.just("hear"), st.lists(events, min_size=1, max_size=6)),
    st.tuples(st.just("repeat"), st.integers(0, 100)),
    st.tuples(st.just("map"), st.tuples(st.integers(0, VIAS - 1), st.integers(0, VIAS - 1))),
    st.tuples(st.just("step"), st.booleans()),
    st.tuples(st.just("prune"), st.none()),
)


class Dies(Exception):  # noqa: N818 (a death is no error)
    """The process ends."""


class World:
    """The service, and all that was ever said."""

    def __init__(self, runtime: Runtime, hear: Hear, assign: Hear) -> None:
        self.runtime, self._hear, self._assign = runtime, hear, assign
        self.vias = sorted(uuid7() for _ in range(VIAS))
        self.said: list[ResolvedEvent] = []
        self.version = 1

    async def declare(self, keys: list[str]) -> None:
        async with self.runtime.database.write() as session:
            for key in keys:
                body = ComputedIn.model_validate({"key": key, "label": {"en": key}, **SPECS[key]})
                await service.define(session, EVERYBODY, key, body.labels(), body.spec())

    async def hear(self, found: list[tuple[Any, ...]]) -> None:
        new = [_event(spec, len(self.said) + place, self.vias) for place, spec in enumerate(found)]
        self.said += new
        await self._hear(*new)

    async def repeat(self, which: int) -> None:
        if self.said:
            await self._hear(self.said[which % len(self.said)], self.said[-1])

    async def map(self, change: tuple[int, int]) -> None:
        self.version += 1
        await self._assign(self.vias[change[1]], self.vias[change[0]], version=self.version)

    async def step(self, dies: bool) -> bool:
        try:
            async with self.runtime.database.write() as session:
                done = await build_once(session)
                if dies:
                    raise Dies
        except Dies:
            return True
        return done

    async def prune(self, _: None) -> None:
        async with self.runtime.database.write() as session:
            await prune(session, NOW)

    async def check(self, now: datetime) -> None:
        async with self.runtime.database.read() as session:
            owners = await identity_map.customers_of(session, self.vias)
            wanted = [item for item in await served(session) if item.key in SPECS]
            shown = await values(session, wanted, set(owners.values()), now)
            for customer, found in shown.items():
                mine = [event for event in self.said if owners[event.via] == customer]
                for item in wanted:
                    value = found[item.key].value
                    got = set(value) if isinstance(value, list) else value
                    assert got == expected(SPECS[item.key], mine, now), (item.key, now)
                changes = [at for key, value in found.items() if "window" in SPECS[key] and (at := value.changes)]
                if changes:  # until the timer of the soonest goes off, nothing changes by the clock
                    just = await values(session, wanted, [customer], min(changes) - timedelta(microseconds=1))
                    windowed = [key for key in found if "window" in SPECS[key]]
                    assert [just[customer][key].value for key in windowed] == [found[key].value for key in windowed]


@pytest.fixture
def world(runtime: Runtime, hear: Hear, assign: Hear, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    monkeypatch.setattr(backfill, "STEP", 2)
    return lambda: World(runtime, hear, assign)


@EXAMPLES
@given(
    script=st.lists(actions, min_size=2, max_size=9),
    early=st.sets(st.sampled_from(sorted(SPECS))),
    at=st.integers(0, 9),
)
async def test_any_history(
    bound: AsyncConnection, world: Callable[[], World], script: list[Any], early: set[str], at: int
) -> None:
    made = world()
    savepoint = await bound.begin_nested()
    try:
        await made.declare(sorted(early))
        while await made.step(False):
            pass
        for place, (action, detail) in enumerate(script):
            if place == min(at, len(script) - 1):
                await made.declare(sorted(SPECS.keys() - early))
            await getattr(made, action)(detail)
        while await made.step(False):
            pass
        for later in (timedelta(0), timedelta(hours=5), timedelta(days=2, hours=18), timedelta(days=61)):
            await made.check(NOW + later)
    finally:
        await savepoint.rollback()
