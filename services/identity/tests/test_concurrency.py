"""Many workers on the same customers at once: nobody waits for ever, and it comes out as one worker would have it."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import Database, WriteSession
from perennial.common.ids import digest_uuid
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.identity.decider import Decider
from perennial.identity.decisions import service as decisions
from perennial.identity.decisions.service import Arrival, Keys
from perennial.identity.policy import queries as policies
from perennial.identity.policy.rules import DEFAULT
from perennial.identity.policy.schemas import PolicyBody
from perennial.identity.policy.service import replace
from perennial.identity.testing.meddling import STAFF, meddle
from perennial.identity.testing.oracle import Oracle, Sent

WORKERS, PEOPLE, PULLS, EACH = 8, 100, 5, 40
START = datetime(2026, 1, 1, tzinfo=UTC)

Decided = list[tuple[int, list[str]]]


@pytest.fixture
async def workers(service: Service, settings: CommonSettings, committed: Database) -> AsyncIterator[list[Decider]]:
    """Deciders with connections of their own; the first has decided on something, so that all begin warm."""
    databases = [Database.connect(settings, f"worker-{number}") for number in range(WORKERS)]
    yield [Decider(ServiceRuntime(service, settings, database, nats=None)) for database in databases]  # type: ignore[arg-type]
    for database in databases:
        await database.close()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Decided:
    """What each transaction decided, with a number taken while it still held all of its locks."""
    decide, turns = decisions.decide, count()
    seen: Decided = []

    async def watched(session: WriteSession, *arguments: Any) -> list[ResolvedEvent]:
        resolved: list[ResolvedEvent] = await decide(session, *arguments)
        seen.append((next(turns), [event.message_id for event in resolved]))
        return resolved

    monkeypatch.setattr(decisions, "decide", watched)
    return seen


def pulls(seed: int, worker: int) -> list[list[Sent]]:
    """What one worker finds in the stream: people at home, on shop tablets, by each other's e-mail, on new phones."""
    chance = random.Random(f"{seed}-{worker}")
    made = []
    for number in range(PULLS * EACH):
        person = chance.randrange(PEOPLE)
        user = f"user_id:u{person}"
        bears = chance.choice(
            [
                {user, f"anonymous_id:a{person}-{chance.randrange(2)}"},
                {user, f"anonymous_id:a{person}-{chance.randrange(2)}", f"email:u{person}@x.cn"},
                {f"anonymous_id:a{person}-{chance.randrange(2)}", f"email:u{person}@x.cn"},
                {user, f"email:u{chance.randrange(PEOPLE)}@x.cn"},
                {user, f"device_id:tablet{chance.randrange(8)}"},
                {f"anonymous_id:a{person}-0", f"device_id:tablet{chance.randrange(8)}"},
                {f"user_id:u{person // 10}", f"device_id:phone{person // 10}-{number % 9}"},
                {f"email:u{person}@x.cn"},
            ]
        )
        made.append(Sent(f"w{worker}-{number}", frozenset(bears), START + timedelta(minutes=number)))
    return [made[start : start + EACH] for start in range(0, len(made), EACH)]


def arrivals(accept: Any, pull: list[Sent], seq: int) -> list[Arrival]:
    events = [accept(message_id=sent.name, received=sent.at, **sent.body()) for sent in pull]
    return Arrival.of(EventsAccepted("shop", events), seq)


class Found:
    """The tables, in the names of the oracle."""

    def __init__(self, names: dict[UUID, str], rows: dict[str, Any]) -> None:
        customers: dict[UUID, set[str]] = {}
        for via, customer in rows["map"]:
            customers.setdefault(customer, set()).add(names[via])
        self.customers = {frozenset(customer) for customer in customers.values()}
        self.shared = {names[via] for (via,) in rows["shared"]}
        self.conflicts = {(names[via], names[against], reason) for via, against, reason in rows["conflict"]}

    @classmethod
    async def read(cls, session: WriteSession, keys: Keys) -> "Found":
        rows = {
            "map": await session.execute(text("SELECT via, customer_id FROM identity_map")),
            "shared": await session.execute(text("SELECT via FROM shared")),
            "conflict": await session.execute(text("SELECT via, against, reason FROM conflict")),
        }
        return cls(await names_of(session, keys), rows)


async def names_of(session: WriteSession, keys: Keys) -> dict[UUID, str]:
    rows = await session.execute(text("SELECT id, kind, sealed, digest FROM identifier"))
    return {row[0]: f"{row[1]}:{keys.vault.open(row[2], row[3])}" for row in rows}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_eight_workers_decide_what_one_would_have_in_the_order_of_their_commits(
    workers: list[Decider], commits: Decided, committed: Database, keys: Keys, accept: Any, whole: Any, seed: int
) -> None:
    """The serial order is that of a number each transaction takes at its end, before it commits.

    It is one: whoever moves, joins or marks an identifier holds its customer's lock (or its claim) until the commit, so
    of two transactions that touch the same customer the second takes its number after the first has committed. Run over
    all events in this order, the oracle must find the same customers, shared identifiers and conflicts.

    Not everything is locked: an event whose identifiers all are one customer's when they are looked up only reads. It
    changes nothing then, nor would it at any later instant, for such identifiers part only by one of them becoming
    shared, and a shared one joins nobody. Only who speaks for it may still be the one that was shared a moment later.
    """
    work = [pulls(seed, worker) for worker in range(WORKERS)]

    async def run(index: int) -> None:
        for number, pull in enumerate(work[index]):
            await workers[index].decide(arrivals(accept, pull, 1000 * index + number))
            if index % 2:  # and what a neighbour decides comes again: it is nobody's but the first one's
                again = work[index - 1][number]
                await workers[index].decide(arrivals(accept, again, 1000 * index + 500 + number))

    await asyncio.gather(*map(run, range(WORKERS)))
    sent = {one.name: one for lots in work for pull in lots for one in pull}
    order = [name for _, names in sorted(commits) for name in names]
    assert Counter(order) == Counter(sent.keys())
    oracle = Oracle(DEFAULT).run(sent[name] for name in order)
    async with committed.write() as session:
        await whole(session)
        found = await Found.read(session, keys)
        spoke = await speakers(session, keys, sent)
    assert found.customers == oracle.customers()
    assert found.shared == oracle.shared
    assert found.conflicts == oracle.conflicts
    assert found.shared
    assert {reason for _, _, reason in found.conflicts} == {"two_user_ids", "limit"}  # the story has both
    strange = {name: speaker for name, speaker in spoke.items() if speaker != oracle.spoke[name]}
    assert all(speaker in oracle.shared for speaker in strange.values())


async def speakers(session: WriteSession, keys: Keys, sent: dict[str, Sent]) -> dict[str, str]:
    """By name of the event, the identifier that its decision names."""
    names = await names_of(session, keys)
    rows = await session.execute(text("SELECT id, via FROM decision"))
    vias = {row[0]: row[1] for row in rows}
    ids = {name: digest_uuid("shop", name) for name in sent}
    assert vias.keys() == set(ids.values())
    return {name: names[vias[event_id]] for name, event_id in ids.items()}


async def test_an_identifier_shared_between_look_up_and_lock_joins_nobody(
    workers: list[Decider], monkeypatch: pytest.MonkeyPatch, committed: Database, keys: Keys, accept: Any
) -> None:
    """Being a customer's founder, it stays where it was: nothing but the mark tells that it has changed."""
    one, rival = workers[:2]
    numbers = count()

    async def decide(by: Decider, *identifiers: str) -> list[ResolvedEvent]:
        number = next(numbers)
        return await by.decide(arrivals(accept, [Sent(f"m{number}", frozenset(identifiers), START)], number))

    await decide(one, "device_id:tablet")
    await decide(one, "anonymous_id:a")
    for user in ("user_id:u1", "user_id:u2"):
        await decide(one, user, "device_id:tablet")
    look_up, calls = decisions._look_up, list[int]()

    async def slow(*arguments: Any) -> Any:
        found = await look_up(*arguments)
        if not calls:
            calls.append(1)
            await decide(rival, "user_id:u3", "device_id:tablet")
        return found

    monkeypatch.setattr(decisions, "_look_up", slow)
    await decide(one, "anonymous_id:a", "device_id:tablet")
    async with committed.write() as session:
        found = await Found.read(session, keys)
    assert found.shared == {"device_id:tablet"}
    assert frozenset({"device_id:tablet"}) in found.customers
    assert frozenset({"anonymous_id:a"}) in found.customers


async def test_workers_merges_splits_and_policies_side_by_side_wait_for_each_other_in_one_order(
    workers: list[Decider], committed: Database, accept: Any, whole: Any
) -> None:
    """What holds in every serial order: each event decided once, no chain, one user id a customer, a whole history.

    More is not asked: an undo may come between the look-up and the commit of an event that only reads, which is then
    decided as before it, whatever its number says. The oracle knows no merges by hand.
    """
    work = [pulls(7, worker) for worker in range(WORKERS)]
    done = asyncio.Event()

    async def run(index: int) -> int:
        found = 0
        for number, pull in enumerate(work[index]):
            found += len(await workers[index].decide(arrivals(accept, pull, 1000 * index + number)))
        return found

    async def staff(seed: int) -> Counter[str]:
        return await meddle(committed, random.Random(seed), done)

    meddling = [asyncio.create_task(staff(seed)) for seed in range(3)]
    ruling = asyncio.create_task(rule(committed, done))
    decided = await asyncio.gather(*map(run, range(WORKERS)))
    done.set()
    outcomes = sum(await asyncio.gather(*meddling), Counter[str]())
    await ruling
    assert sum(decided) == WORKERS * PULLS * EACH
    assert min(outcomes[act] for act in ("merge_two", "undo_merge", "split_one", "undo_split", "share_one")) > 0
    async with committed.write() as session:
        await whole(session)
        for question in NEVER:
            assert (await session.execute(text(question))).scalar_one() == 0, question


NEVER = (
    "SELECT count(*) FROM identity_map m FULL JOIN identifier i ON i.id = m.via WHERE m.via IS NULL OR i.id IS NULL",
    """SELECT count(*) FROM (SELECT 1 FROM identity_map WHERE kind = 'user_id'
       GROUP BY customer_id HAVING count(*) > 1) AS named""",
    """SELECT count(*) FROM identity_map m JOIN map_change c ON c.via = m.via AND c.version = m.version
       WHERE c.customer_id <> m.customer_id""",
    """SELECT count(*) FROM (SELECT customer_id, previous_id, lag(customer_id) OVER w AS before, version,
              lag(version) OVER w AS earlier FROM map_change WINDOW w AS (PARTITION BY via ORDER BY version)) AS h
       WHERE before IS NOT NULL AND (before <> previous_id OR earlier <> version - 1)""",
)


async def rule(database: Database, done: asyncio.Event) -> None:
    """Somebody who cannot decide how many devices are too many."""
    while not done.is_set():
        async with database.write() as session:
            version = await policies.version(session)
            kinds = [
                {
                    "kind": kind,
                    "limit": 1 if kind == "user_id" else 2 + version % 5,
                    "shared_after": None if kind == "user_id" else 3,
                }
                for kind in sorted(DEFAULT.rules, key=lambda kind: DEFAULT.rules[kind].rank)
            ]
            await replace(session, PolicyBody.model_validate({"kinds": kinds}).model_dump(), version, STAFF)
        await asyncio.sleep(0.1)
