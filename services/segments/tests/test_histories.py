"""Memberships after any history equal what its facts and the map of today say, by three evaluators.

Random rules, events late and twice, lists, tags, merges, splits and their undoing go through the real reactions;
whoever folds the facts that were published, in any order, ends with the same memberships.
"""

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.contracts.profile import CustomerTags, TagsChanged, TraitDefinition, TraitsDefined
from perennial.common.ids import uuid7
from perennial.common.runtime import Runtime
from perennial.common.testing.events import identified, tracked
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships.reconcile import reconcile

Do = Callable[..., Awaitable[None]]
NOW = datetime.now(UTC)
PEOPLE = 4
EXAMPLES = int(os.environ.get("PERENNIAL_EXAMPLES", "12"))

who = st.integers(0, PEOPLE - 1)
leaf = st.one_of(
    st.fixed_dictionaries(
        {
            "event": st.just("Seen"),
            "count": st.dictionaries(st.sampled_from(["eq", "gte", "lt"]), st.integers(0, 3), min_size=1, max_size=1),
        },
        optional={"within": st.just("P30D")},
    ),
    st.sampled_from(["pro", "max"]).map(lambda plan: {"trait": "plan", "is": plan}),
    st.booleans().map(lambda there: {"trait": "plan", "exists": there}),
    st.just({"trait": "tags", "contains": "vip"}),
    st.just({"segment": "list"}),
    st.just({"segment": "first"}),
)
rule = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"all": rules}),
        st.lists(inner, min_size=1, max_size=3).map(lambda rules: {"any": rules}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=5,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("seen"), who, st.integers(0, 60)),
        st.tuples(st.just("again"), who, st.integers(0, 9)),
        st.tuples(st.just("plan"), who, st.sampled_from(["pro", "max", None])),
        st.tuples(st.just("vip"), who, st.booleans()),
        st.tuples(st.just("list"), who, st.booleans()),
        st.tuples(st.just("belongs"), who, who),
        st.tuples(st.just("belongs"), who, who),
    ),
    max_size=14,
)


@dataclass
class Oracle:
    """Everything that was said, under who said it; whose that is, `owner` tells."""

    owner: list[int] = field(default_factory=lambda: list(range(PEOPLE)))
    seen: list[tuple[int, int]] = field(default_factory=list)
    plans: list[tuple[int, int, str | None]] = field(default_factory=list)
    listed: set[int] = field(default_factory=set)
    vips: dict[int, bool] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)

    def may_belong(self, one: int, more: int) -> bool:
        """A customer bears the id of one of its identifiers: while others are with it, that one stays."""
        alone = self.owner.count(one) == (self.owner[one] == one)
        return more == one or (alone and self.owner[more] == more)

    def holds(self, asked: dict[str, Any], customer: int) -> bool:  # noqa: PLR0911 (one per kind)
        """Naively, one node after the other."""
        kind = next(name for name in ("all", "any", "not", "event", "trait", "segment") if name in asked)
        inner = asked[kind]
        mine = {via for via in range(PEOPLE) if self.owner[via] == customer}
        if kind == "all":
            return all(self.holds(one, customer) for one in inner)
        if kind == "any":
            return any(self.holds(one, customer) for one in inner)
        if kind == "not":
            return not self.holds(inner, customer)
        if kind == "segment":
            return bool(mine & self.listed) if inner == "list" else self.holds(self.first, customer)
        if kind == "event":
            happened = sum(via in mine and ("within" not in asked or days < 30) for via, days in self.seen)
            [(compared, limit)] = asked["count"].items()
            return bool({"eq": happened == limit, "gte": happened >= limit, "lt": happened < limit}[compared])
        if inner == "tags":
            return self.vips.get(customer, False)
        plan = max(((place, said) for place, via, said in self.plans if via in mine), default=(0, None))[1]
        return bool((plan is not None) == asked["exists"] if "exists" in asked else plan == asked["is"])


@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(first=leaf.filter(lambda one: "segment" not in one), rules=st.lists(rule, min_size=1, max_size=3), story=steps,
       built_late=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
async def test_whatever_happened(  # noqa: PLR0917 (a story)
    first: dict[str, Any], rules: list[dict[str, Any]], story: list[tuple[str, int, Any]], built_late: bool,
    seed: int, client: httpx.AsyncClient, hear: Do, assign: Do, settle: Do, runtime: Runtime,
    token: Callable[..., str],
) -> None:  # fmt: skip
    client.headers["Authorization"] = f"Bearer {token('*', fields=('*',))}"  # the first one expires
    await forget(runtime)
    await hear(TraitsDefined(traits=[TraitDefinition(key="plan", type="string", version=1)]))
    vias, oracle = [uuid7() for _ in range(PEOPLE)], Oracle(first=first)
    ids = {"list": await made(client, "list", kind="list"), "first": await made(client, "first", rule=first)}
    asked = {"first": first, "list": {"segment": "list"}} | {str(place): one for place, one in enumerate(rules)}
    if not built_late:
        await define(client, ids, rules)
        await settle()
    await hear(*(tracked("Hello", via=via, at=NOW - timedelta(days=90)) for via in vias))
    await tell(story, vias, oracle, ids["list"], client, hear, assign)
    if built_late:
        await define(client, ids, rules)
    await settle()
    wanted = {
        name: {vias[one] for one in set(oracle.owner) if oracle.holds(document, one)}
        for name, document in asked.items()
    }
    found = {name: await members(runtime, UUID(ids[name]), vias) for name in asked}
    assert found == wanted
    async with runtime.database.write() as session:
        for row in await definitions.serving(session):
            assert await reconcile(session, row) == 0
    assert await told(runtime, set(ids.values()), vias, random.Random(seed)) == {
        (UUID(ids[name]), one) for name, inside in wanted.items() for one in inside
    }


async def made(client: httpx.AsyncClient, name: str, **body: Any) -> str:
    answer = await client.post("/v1/segments", json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def define(client: httpx.AsyncClient, ids: dict[str, str], rules: list[dict[str, Any]]) -> None:
    for place, one in enumerate(rules):
        ids[str(place)] = await made(client, str(place), rule=named(one, ids))


def named(document: Any, ids: dict[str, str]) -> Any:
    """The rule with ids in the place of names."""
    if isinstance(document, list):
        return [named(one, ids) for one in document]
    if isinstance(document, dict):
        return {key: ids[one] if key == "segment" else named(one, ids) for key, one in document.items()}
    return document


async def tell(  # noqa: C901 (one branch per verb)
    story: list[tuple[str, int, Any]], vias: list[UUID], oracle: Oracle, listed: str, client: httpx.AsyncClient,
    hear: Do, assign: Do,
) -> None:  # fmt: skip
    versions, said = count(2), []
    for place, (verb, one, more) in enumerate(story):
        customer = oracle.owner[one]
        if verb == "seen":
            oracle.seen.append((one, more))
            said.append(tracked("Seen", via=vias[one], at=NOW - timedelta(days=more), live=bool(more % 2)))
            await hear(said[-1])
        elif verb == "again" and said:
            await hear(said[more % len(said)])
        elif verb == "plan":
            late = place if more == "pro" else -place  # some say what was so before
            oracle.plans.append((late, one, more))
            at = NOW - timedelta(days=1) + timedelta(minutes=late)
            await hear(identified({"plan": more}, via=vias[one], at=at))
        elif verb == "vip":
            oracle.vips[customer] = more
            await hear(tags(vias[customer], place + 1, more))
        elif verb == "list":
            mine = {via for via in range(PEOPLE) if oracle.owner[via] == customer}
            if more and not mine & oracle.listed:
                oracle.listed.add(one)
            elif not more:
                oracle.listed -= mine
            where = f"/v1/segments/{listed}/members" + ("" if more else "/remove")
            assert (await client.post(where, json={"members": [str(vias[one])]})).status_code == 200
        elif verb == "belongs" and oracle.may_belong(one, more):
            oracle.owner[one] = more
            if more != one:
                oracle.vips.pop(one, None)
            await assign(vias[one], vias[more], version=next(versions))


def tags(customer: UUID, version: int, vip: bool) -> TagsChanged:
    return TagsChanged(customers=[CustomerTags(customer=customer, version=version, tags=["vip"] if vip else [])])


async def members(runtime: Runtime, segment: UUID, vias: list[UUID]) -> set[UUID]:
    async with runtime.database.read() as session:
        rows = await session.execute(
            text("SELECT customer_id FROM membership WHERE segment_id = :id AND customer_id = ANY(:vias)"),
            {"id": segment, "vias": vias},
        )
        return set(rows.scalars())


async def told(
    runtime: Runtime, segments: set[str], vias: list[UUID], shuffled: random.Random
) -> set[tuple[UUID, UUID]]:
    """What a listener ends with who hears the facts in any order and keeps the highest version."""
    async with runtime.database.read() as session:
        subject = "segments.memberships.changed.v1"
        rows = await session.execute(text("SELECT body FROM outbox WHERE subject = :s"), {"s": subject})
        items = [item for body in rows.scalars() for item in msgspec.json.decode(body)["memberships"]]
    shuffled.shuffle(items)
    newest: dict[tuple[UUID, UUID], tuple[int, bool]] = {}
    for item in items:
        key = (UUID(item["segment_id"]), UUID(item["customer"]))
        newest[key] = max(newest.get(key, (0, False)), (item["version"], item["member"]))
    return {key for key, (_, inside) in newest.items() if inside and str(key[0]) in segments and key[1] in vias}


async def forget(runtime: Runtime) -> None:
    """The examples share a database: the next one has its own segments and people."""
    async with runtime.database.write() as session:
        for table in ("membership", "list_member", "segment_version", "stale", "outbox", "operation", "timer"):
            await session.execute(text(f"DELETE FROM {table}"))
        await session.execute(text("DELETE FROM segment"))
