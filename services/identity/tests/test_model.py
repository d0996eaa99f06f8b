"""Events, merges, splits, sharing and all their undoing in any order: the map is whole and equals a plain model."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.common.problems import Problem
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.merges import service as merges
from perennial.identity.policy.rules import DEFAULT, Policy, Rule
from perennial.identity.sharing import service as sharing
from perennial.identity.splits import service as splits
from perennial.identity.testing.model import Model
from perennial.identity.testing.oracle import Sent

EXAMPLES = settings(
    max_examples=80, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
START = datetime(2026, 1, 1, tzinfo=UTC)
STAFF = Principal("staff", "model", frozenset({"*"}))


class Deed(NamedTuple):
    """What a person does; `which` and `mask` pick its objects among what there is by then."""

    verb: str
    which: int
    mask: int


def identifiers() -> st.SearchStrategy[frozenset[str]]:
    kinds = st.sampled_from(["user_id", "email", "device_id", "anonymous_id", "external_id:crm"])
    one = st.builds(lambda kind, n: f"{kind}:v{n}{'@x.cn' if kind == 'email' else ''}", kinds, st.integers(1, 4))
    return st.frozensets(one, min_size=1, max_size=3)


def pulls() -> st.SearchStrategy[list[frozenset[str]]]:
    return st.lists(identifiers(), min_size=1, max_size=4)


def deeds() -> st.SearchStrategy[Deed]:
    verbs = ["merge", "merge", "undo", "undo", "split", "split", "unsplit", "unsplit", "share", "unshare"]
    return st.builds(Deed, st.sampled_from(verbs), st.integers(0, 30), st.integers(0, 2**16))


def policies() -> st.SearchStrategy[Policy]:
    def made(after: int | None, approve: int | None, own: Rule | None) -> Policy:
        rules = {**DEFAULT.rules, **({"external_id:crm": own} if own else {})}
        shared = {name: replace(rule, shared_after=rule.shared_after and after) for name, rule in rules.items()}
        return Policy(0, shared, approve)

    own = st.builds(Rule, rank=st.sampled_from([1, 20]), limit=st.integers(1, 2), unique=st.booleans())
    return st.builds(
        made, st.sampled_from([2, 3, None]), st.sampled_from([None, None, 1, 2]), st.one_of(st.none(), own)
    )


class World:
    """Identity itself, driven beside the model; both answer a deed with why it was refused."""

    def __init__(self, session: WriteSession, keys: Keys, accept: Any) -> None:
        self.session, self.keys, self.accept = session, keys, accept
        self.model = Model(keys.policy)
        self.vias: dict[str, UUID] = {}
        self.sent = itertools.count(1)

    async def take(self, pull: Sequence[frozenset[str]]) -> None:
        sents = [Sent(f"m{(n := next(self.sent))}", found, START + timedelta(hours=n)) for found in pull]
        events = [self.accept(message_id=sent.name, received=sent.at, **sent.body()) for sent in sents]
        self.model.run(sents)
        arrivals = Arrival.of(EventsAccepted("shop", events), next(self.sent))
        decided = await decide(self.session, arrivals, self.keys, datetime.now(UTC))
        rows = await self.session.execute(text("SELECT id, kind, sealed, digest FROM identifier"))
        self.vias = {f"{row[1]}:{self.keys.vault.open(row[2], row[3])}": row[0] for row in rows}
        assert {event.message_id: event.via for event in decided} == {
            sent.name: self.vias[self.model.spoke[sent.name]] for sent in sents
        }

    async def do(self, deed: Deed) -> None:
        names = sorted(self.vias, key=self.model.age.__getitem__)
        one, other = names[deed.which % len(names)], names[deed.mask % len(names)]
        if deed.verb in ("undo", "unsplit"):
            await self.undo(deed)
        elif deed.verb == "merge":
            pair = [self.vias[one], self.vias[other]]
            assert await refused(merges.merge(self.session, pair, "x", STAFF)) == self.model.merge(one, other)
        elif deed.verb == "split":
            held = sorted(self.model.customer_of[one])
            some = {name for n, name in enumerate(held) if deed.mask >> n & 1} or {one}
            vias = [self.vias[name] for name in some]
            said = await refused(splits.split(self.session, self.vias[one], vias, "x", STAFF))
            assert said == self.model.split(one, some)
        else:
            verb, twin = getattr(sharing, deed.verb), getattr(self.model, deed.verb)
            assert await refused(verb(self.session, self.vias[one], "x", STAFF)) == twin(one)

    async def undo(self, deed: Deed) -> None:
        table, service, twin = (
            ("merge", merges, self.model.undo) if deed.verb == "undo" else ("split", splits, self.model.unsplit)
        )
        ids = list((await self.session.execute(text(f"SELECT id FROM {table} ORDER BY id"))).scalars())
        assert len(ids) == len(self.model.merges if table == "merge" else self.model.splits)
        if ids:
            number = deed.which % len(ids)
            assert await refused(service.undo(self.session, ids[number], "x", STAFF)) == twin(number)

    async def check(self) -> None:
        """Both have the same map, separations, shared identifiers and conflicts."""
        names = {via: name for name, via in self.vias.items()}
        found = await self.session.execute(text("SELECT via, customer_id FROM identity_map"))
        assert {names[via]: names[customer] for via, customer in found} == self.model.name
        found = await self.session.execute(text("SELECT low, high FROM separation"))
        assert {frozenset({names[low], names[high]}) for low, high in found} == set(self.model.separations)
        assert {names[via] for via in (await self.session.execute(text("SELECT via FROM shared"))).scalars()} == (
            self.model.shared
        )
        found = await self.session.execute(text("SELECT via, against, reason FROM conflict"))
        assert {(names[via], names[against], reason) for via, against, reason in found} == self.model.conflicts

    async def check_copies(self) -> None:
        """What was told, in any order, leads to the map: versions only rise, the highest is today's."""
        bodies = await self.session.execute(
            text("SELECT body FROM outbox WHERE subject = 'identity.identifiers.assigned.v1' ORDER BY id")
        )
        copy: dict[str, tuple[int, str]] = {}
        for body in bodies.scalars():
            for item in msgspec.json.decode(body)["assignments"]:
                assert item["version"] == copy.get(item["via"], (0, ""))[0] + 1
                copy[item["via"]] = (item["version"], item["customer"])
        found = await self.session.execute(text("SELECT via, customer_id, version FROM identity_map"))
        assert {str(via): (version, str(customer)) for via, customer, version in found} == copy
        inside = await self.session.execute(
            text("""SELECT count(*) FROM separation s JOIN identity_map a ON a.via = s.low
                    JOIN identity_map b ON b.via = s.high WHERE a.customer_id = b.customer_id""")
        )
        assert inside.scalar_one() == 0


async def refused(deed: Any) -> str | None:
    try:
        await deed
    except Problem as problem:
        return problem.code
    return None


@EXAMPLES
@given(
    first=pulls(),
    acts=st.lists(st.one_of(pulls(), deeds(), deeds(), deeds()), min_size=1, max_size=25),
    policy=policies(),
)
async def test_whatever_people_do_between_events_the_map_is_whole_and_what_the_model_says(
    session: WriteSession,
    keys: Keys,
    accept: Any,
    whole: Any,
    first: list[frozenset[str]],
    acts: list[list[frozenset[str]] | Deed],
    policy: Policy,
) -> None:
    await live(World(session, keys.under(policy), accept), first, acts, whole)


STRANGERS = [frozenset({f"anonymous_id:v{n}"}) for n in range(1, 5)]


@EXAMPLES
@given(acts=st.lists(deeds(), min_size=5, max_size=30))
async def test_merges_and_splits_are_undone_in_any_order(
    session: WriteSession, keys: Keys, accept: Any, whole: Any, acts: list[Deed]
) -> None:
    await live(World(session, keys, accept), STRANGERS, acts, whole)


async def live(
    world: World, first: Sequence[frozenset[str]], acts: Sequence[Sequence[frozenset[str]] | Deed], whole: Any
) -> None:
    savepoint = await world.session.begin_nested()
    try:
        await world.take(first)
        for act in acts:
            await (world.do(act) if isinstance(act, Deed) else world.take(act))
            await whole(world.session)
            await world.check()
        await world.check_copies()
    finally:
        await savepoint.rollback()
