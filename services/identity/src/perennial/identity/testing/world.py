"""Identity itself beside the model of it: events and deeds of people go to both, and both must answer alike."""

# ruff: noqa: S101 (tests run it, and nothing else)

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import WriteSession
from perennial.common.problems import Problem
from perennial.identity.decisions.service import Arrival, Keys, decide
from perennial.identity.merges import service as merges
from perennial.identity.sharing import service as sharing
from perennial.identity.splits import service as splits
from perennial.identity.testing.model import Model
from perennial.identity.testing.oracle import Sent

START = datetime(2026, 1, 1, tzinfo=UTC)
STAFF = Principal("staff", "model", frozenset({"*"}))


class Deed(NamedTuple):
    """What a person does; `which` and `mask` pick its objects among what there is by then."""

    verb: str
    which: int
    mask: int


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
            made = len(self.model.merges if deed.verb == "undo" else self.model.splits)
            if made:
                await self.undo(deed.verb, deed.which % made)
        elif deed.verb == "merge":
            await self.merge(one, other)
        elif deed.verb == "split":
            held = sorted(self.model.customer_of[one])
            await self.split(one, {name for n, name in enumerate(held) if deed.mask >> n & 1} or {one})
        else:
            await self.mark(deed.verb, one)

    async def merge(self, one: str, other: str) -> str | None:
        pair = [self.vias[one], self.vias[other]]
        said = await refused(merges.merge(self.session, pair, "x", STAFF))
        assert said == self.model.merge(one, other)
        return said

    async def split(self, one: str, some: set[str]) -> str | None:
        vias = [self.vias[name] for name in some]
        said = await refused(splits.split(self.session, self.vias[one], vias, "x", STAFF))
        assert said == self.model.split(one, some)
        return said

    async def mark(self, verb: str, one: str) -> str | None:
        """Share or unshare."""
        said = await refused(getattr(sharing, verb)(self.session, self.vias[one], "x", STAFF))
        assert said == getattr(self.model, verb)(one)
        return said

    async def undo(self, verb: str, number: int) -> str | None:
        """Undo a merge, or unsplit a split, by its number in the order of their making."""
        table, service, twin = (
            ("merge", merges, self.model.undo) if verb == "undo" else ("split", splits, self.model.unsplit)
        )
        ids = list((await self.session.execute(text(f"SELECT id FROM {table} ORDER BY id"))).scalars())  # noqa: S608
        assert len(ids) == len(self.model.merges if verb == "undo" else self.model.splits)
        said = await refused(service.undo(self.session, ids[number], "x", STAFF))
        assert said == twin(number)
        return said

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
