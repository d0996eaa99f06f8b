"""Which value is shown: any order, any batching, merges, splits, late changes of the map agree with a plain oracle."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as tries
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.identity import Assignment, IdentifiersAssigned
from perennial.common.ids import uuid7
from perennial.common.service import ServiceRuntime
from perennial.common.testing.events import identified
from perennial.common.testing.previews import EVERYBODY, World
from perennial.profile.traits.edits import service
from perennial.profile.traits.edits.schemas import TraitsEdit
from perennial.profile.traits.survivors import MANUAL, survivors
from perennial.profile.traits.sweeps.jobs import reseal

Hear = Callable[..., Awaitable[None]]
Derive = Callable[[], Awaitable[None]]
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SOURCES = ("app", "crm", "shop")
TRUSTED = ["crm", "shop"]
KEYS: dict[str, dict[str, Any]] = {
    "t_latest": {},
    "t_trusted": {"sources": TRUSTED},
    "t_first": {"strategy": "first"},
    "t_first_trusted": {"strategy": "first", "sources": TRUSTED},
    "t_longest": {"strategy": "longest"},
    "t_manual": {"strategy": "manual-wins", "sources": TRUSTED},
    "t_least": {"strategy": "min", "type": "number"},
    "t_most_day": {"strategy": "max", "type": "datetime"},
    "t_sum": {"strategy": "sum", "type": "number"},
    "t_worth": {"strategy": "sum", "type": "money"},
    "t_cheapest": {"strategy": "min", "type": "money", "sources": TRUSTED},
    "t_union": {"strategy": "union", "type": "list"},
}
VALUES: dict[str, list[Any]] = {
    "string": ["a", "b", "cc", "ccc", "王小明"],
    "number": [1, 2.5, -3, "0.1", "7.25"],
    "datetime": ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2025-01-01T08:00:00+08:00"],
    "money": [{"amount": "1.10", "currency": "CNY"}, {"amount": 2, "currency": "USD"}, "3.05 CNY"],
    "list": [["a"], ["b", "a"], ["c", "b"], []],
}
SHOWN = text(f"""
    SELECT customer_id, jsonb_object_agg(key, value)::text FROM ({survivors("m.via = ANY(:vias)")}) AS s GROUP BY 1""")


@pytest.fixture
async def defined(client: httpx.AsyncClient) -> None:
    for key, more in KEYS.items():
        answer = await client.post("/v1/traits", json={"key": key, "label": {"en": key}, **more})
        assert answer.status_code == 201, answer.text


class Word(NamedTuple):
    """One statement, as the oracle remembers it."""

    stamp: tuple[datetime, str, str]
    via: UUID
    key: str
    value: Any


def oracle(words: list[Word], owner: dict[UUID, UUID]) -> dict[UUID, dict[str, Any]]:
    """What each customer shows, by reading all that was ever said."""
    shown: dict[UUID, dict[str, Any]] = {}
    for customer in set(owner.values()):
        for key in KEYS:
            said = [word for word in words if word.key == key and owner.get(word.via) == customer]
            value = survivor(key, said)
            if value is not None:
                shown.setdefault(customer, {})[key] = value
    return shown


def survivor(key: str, said: list[Word]) -> Any:
    strategy, trusted = KEYS[key].get("strategy", "latest"), KEYS[key].get("sources", [])
    candidates = []
    for place in {(word.via, word.stamp[1]) for word in said}:
        own = sorted(word for word in said if (word.via, word.stamp[1]) == place)
        if own[-1].value is None and strategy not in {"latest", "manual-wins"}:
            continue
        candidates.append(next(word for word in own if word.value is not None) if strategy == "first" else own[-1])
    if not candidates:
        return None

    def rank(word: Word) -> int:
        if strategy == "manual-wins" and word.stamp[1] == MANUAL:
            return -1
        return trusted.index(word.stamp[1]) if word.stamp[1] in trusted else len(trusted)

    if strategy == "first":
        return min(candidates, key=lambda word: (rank(word), word.stamp)).value
    best_first = sorted(sorted(candidates, key=lambda word: word.stamp, reverse=True), key=rank)
    if strategy in {"latest", "manual-wins"}:
        return best_first[0].value
    if strategy == "longest":
        return max(best_first, key=lambda word: len(word.value)).value
    return folded(strategy, KEYS[key]["type"], [word.value for word in best_first])


def folded(strategy: str, kind: str, values: list[Any]) -> Any:
    if strategy == "union":
        return sorted({item for value in values for item in value})
    fold: Any = {"sum": sum, "min": min, "max": max}[strategy]
    if kind == "datetime":
        return fold(values, key=lambda value: value.removesuffix("Z"))  # a fraction begins with what sorts before a Z
    if kind != "money":
        return fold(values)
    currency = values[0]["currency"]
    amount = fold([Decimal(value["amount"]) for value in values if value["currency"] == currency])
    return {"amount": format(amount.normalize(), "f"), "currency": currency}


def canonical(key: str, value: Any) -> Any:
    """The form in which a value is kept."""
    kind = KEYS[key].get("type", "string")
    if value is None or kind in {"string", "list"}:
        return value
    if kind == "number":
        return Decimal(str(value))
    if kind == "datetime":
        said = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None).isoformat()
        return said.rstrip("0").rstrip(".") + "Z" if "." in said else said + "Z"
    amount, currency = value.split() if isinstance(value, str) else (value["amount"], value["currency"])
    return {"amount": format(Decimal(amount).normalize(), "f"), "currency": currency}


def _values(key: str) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *VALUES[KEYS[key].get("type", "string")]])


Traits = st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=4, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: _values(key) for key in keys})
)
Say = st.tuples(st.just("say"), st.integers(0, 3), st.integers(0, 6), st.sampled_from(SOURCES), Traits)
Move = st.tuples(st.just("move"), st.integers(0, 3), st.integers(0, 3), st.integers(0, 9), st.just(None))
Edit = st.tuples(st.just("edit"), st.integers(0, 3), st.sampled_from(["t_manual", "t_latest", "t_trusted"]))
Edited = st.tuples(Edit, st.sampled_from([None, "x", "yyyy"])).map(lambda both: (*both[0], both[1]))
Story = st.lists(st.lists(st.one_of(Say, Say, Say, Move, Move, Edited), min_size=1, max_size=5), min_size=1, max_size=6)


class Told:
    """Delivers a story, and remembers what the oracle needs: statements, and of the map the highest versions."""

    def __init__(self, hear: Hear, runtime: ServiceRuntime) -> None:
        self._runtime = runtime
        self.vias = sorted(uuid7() for _ in range(4))
        self.words: list[Word] = []
        self._hear = hear
        self._map: dict[UUID, tuple[int, UUID]] = {}
        self._count = 0

    async def batch(self, steps: list[Any]) -> None:
        """Events and map changes of one batch; an event repeats what the map said when it was resolved."""
        said = [self._event(*step[1:]) for step in steps if step[0] == "say"]
        moves = [self._move(*step[1:4]) for step in steps if step[0] == "move"]
        if moves:
            await self._hear(IdentifiersAssigned(assignments=moves))
        if said:
            await self._hear(*said, *said[:1])
        for step in steps:
            if step[0] == "edit" and self.vias[step[1]] in self._map:
                await self._edit(*step[1:])

    async def _edit(self, via: int, key: str, value: Any) -> None:
        async with self._runtime.database.write() as session:
            wanted = TraitsEdit(traits={key: value}, reason="x")
            made = await service.edit(session, EVERYBODY, self.vias[via], wanted)
        self._count += 1
        self.words.append(Word((made.at, MANUAL, f"{self._count:04}"), made.id, key, value))

    def _event(self, via: int, minute: int, source: str, traits: dict[str, Any]) -> Any:
        self._count += 1
        at, message = NOON + timedelta(minutes=minute), f"{self._count:04}-{self.vias[0]}"
        self.words += [
            Word((at, source, message), self.vias[via], key, canonical(key, value)) for key, value in traits.items()
        ]
        version, customer = self._map.setdefault(self.vias[via], (0, self.vias[via]))
        return identified(
            traits, via=self.vias[via], customer=customer, version=version, at=at, source=source, message_id=message,
            live=minute % 2 == 0,
        )  # fmt: skip

    def _move(self, via: int, to: int, version: int) -> Assignment:
        known = self._map.get(self.vias[via], (-1, self.vias[via]))
        if version > known[0]:
            self._map[self.vias[via]] = (version, self.vias[to])
        elif version == known[0]:
            to = self.vias.index(known[1])
        return Assignment(via=self.vias[via], customer=self.vias[to], version=version)

    def owners(self) -> dict[UUID, UUID]:
        return {via: customer for via, (_, customer) in self._map.items()}


@tries(suppress_health_check=list(HealthCheck), max_examples=25, deadline=None, phases=[Phase.generate])
@given(story=Story)
async def test_every_strategy_agrees_with_the_oracle_at_any_moment(
    story: list[list[Any]], defined: None, hear: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    told = Told(hear, runtime)
    for steps in story:
        await told.batch(steps)
        async with runtime.database.read() as session:
            found = {row[0]: row[1] for row in await session.execute(SHOWN, {"vias": told.vias})}
        assert flat({key: exact(value) for key, value in found.items()}) == flat(oracle(told.words, told.owners()))
    await derive()
    async with runtime.database.read() as session:
        rows = await session.execute(
            text("SELECT customer_id, traits::text FROM customer WHERE customer_id = ANY(:vias)"), {"vias": told.vias}
        )
        written = {row[0]: exact(row[1]) for row in rows if row[1] != "{}"}
    owners = told.owners()
    expected = {key: value for key, value in oracle(told.words, owners).items() if owners.get(key) == key}
    assert flat(written) == flat(expected)


def flat(shown: dict[UUID, dict[str, Any]]) -> dict[tuple[UUID, str], Any]:
    """By customer and key: a difference is a line."""
    return {
        (customer, key): value for customer, traits in sorted(shown.items()) for key, value in sorted(traits.items())
    }


def exact(document: str) -> Any:
    import json  # noqa: PLC0415 (only here)

    return json.loads(document, parse_float=Decimal, parse_int=Decimal)


async def test_a_changed_strategy_is_applied_to_all_that_was_ever_said(
    client: httpx.AsyncClient, hear: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    via, other = uuid7(), uuid7()
    await hear(identified({"spent": 5}, via=via, at=NOON + timedelta(minutes=1)))
    await hear(identified({"spent": 7}, via=via, at=NOON + timedelta(minutes=2)))
    await hear(identified({"spent": "x"}, via=via, at=NOON, source="app"))
    await hear(identified({"spent": 11}, via=other, customer=via, at=NOON, source="app"))
    body = {"label": {"en": "Spent"}, "type": "number"}
    await client.post("/v1/traits", json={"key": "spent", **body})
    for strategy, expected in (("sum", 18), ("min", 7), ("first", 11), ("latest", 7), ("max", 11)):
        answer = await client.put("/v1/traits/spent", json={**body, "strategy": strategy}, headers={"If-Match": "*"})
        assert answer.json()["applied"] is False
        await reseal(runtime)
        await derive()
        async with runtime.database.read() as session:
            rows = await session.execute(text("SELECT traits FROM customer WHERE customer_id = :via"), {"via": via})
            assert rows.scalar_one() == {"spent": expected}, strategy
        assert (await client.get("/v1/traits/spent")).json()["applied"] is True


@pytest.fixture
def world(service: Any, settings: Any, committed: Any) -> World:
    return World(ServiceRuntime(service, settings, committed, nats=None))  # type: ignore[arg-type]


async def test_a_merge_needs_no_timeline(world: World, database_urls: Any) -> None:
    one, other = uuid7(), uuid7()
    await world.hear(
        identified({"city": "Rome", "plan": "free"}, via=one, at=NOON),
        identified({"city": "Oslo"}, via=other, at=NOON + timedelta(minutes=1)),
    )
    owner = await asyncpg.connect(database_urls.owner)
    await owner.execute("TRUNCATE event")
    await owner.close()
    assigned = [Assignment(via=other, customer=one, version=2)]
    await world.hear(IdentifiersAssigned(assignments=assigned))
    async with world.runtime.database.read() as session:
        rows = await session.execute(text("SELECT traits FROM customer"))
        assert rows.scalars().all() == [{"city": "Oslo", "plan": "free"}]
