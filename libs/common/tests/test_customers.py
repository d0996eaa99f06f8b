"""The map's copies, and what is derived per customer."""

import asyncio
import random
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common import claims, derive, identity_map
from perennial.common.contracts.identity import Assignment
from perennial.common.db import Database, WriteSession
from perennial.common.derive import Derivation, Stale
from perennial.common.identity_map import MapChange
from perennial.common.ids import uuid7
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.database import until_somebody_waits
from perennial.common.testing.events import tracked
from perennial.common.testing.plugin import customer


async def test_a_copy_is_right_whatever_the_order_in_which_changes_arrive(session: WriteSession) -> None:
    a, b, c = uuid7(), uuid7(), uuid7()
    history = [
        Assignment(via=a, customer=a, version=1),
        Assignment(via=b, customer=b, version=1),
        Assignment(via=c, customer=c, version=1),
        Assignment(via=b, customer=a, version=2),
        Assignment(via=c, customer=a, version=2),
        Assignment(via=c, customer=c, version=3),
    ]
    for seed in range(20):
        await session.execute(text("DELETE FROM identity_map"))
        shuffled = history * 2
        random.Random(seed).shuffle(shuffled)
        for item in shuffled:
            await identity_map.apply(session, [item])
        assert await identity_map.customers_of(session, [a, b, c]) == {a: a, b: a, c: c}


async def test_old_customer_ids_answer_with_the_survivor(session: WriteSession) -> None:
    a, b = await customer(session), await customer(session)
    changes = await identity_map.apply(session, [Assignment(via=b, customer=a, version=2)])
    assert changes == [MapChange(b, b, a)]
    assert await identity_map.customer_of(session, b) == a
    assert await identity_map.vias_of(session, [a, b]) == {a: sorted([a, b])}


async def test_events_bring_the_map_with_them_and_never_an_older_one(session: WriteSession) -> None:
    via, owner = uuid7(), uuid7()
    assert await identity_map.learn(session, [tracked("X", via=via, customer=owner, version=5)]) == [
        MapChange(via, None, owner)
    ]
    assert await identity_map.learn(session, [tracked("X", via=via, customer=via, version=4)]) == []
    assert await identity_map.customer_of(session, via) == owner


async def test_the_blind_index_is_learnt_even_after_the_event_was_faster(session: WriteSession) -> None:
    via = uuid7()
    await identity_map.learn(session, [tracked("X", via=via)])
    await identity_map.apply(session, [Assignment(via=via, customer=via, version=1, kind="email", digest="ab" * 16)])
    row = (await session.execute(text("SELECT kind, digest FROM identity_map"))).one()
    assert (row.kind, row.digest) == ("email", bytes.fromhex("ab" * 16))


async def test_a_customer_marked_often_is_computed_once_and_the_gone_are_named(session: WriteSession) -> None:
    survivor, merged = await customer(session), await customer(session)
    for _ in range(3):
        await derive.mark(session, [survivor], live=False)
    await derive.mark(session, [survivor, merged], live=True)
    await identity_map.apply(session, [Assignment(via=merged, customer=survivor, version=2)])
    seen: list[Stale] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        seen.append(stale)

    assert await derive.derive_once(session, Derivation(handle)) == 5
    assert await derive.derive_once(session, Derivation(handle)) == 0
    assert seen == [Stale(live={survivor: True}, gone=[merged])]


async def test_a_backlog_computes_each_customer_once_whatever_the_batch(session: WriteSession) -> None:
    customers = [await customer(session) for _ in range(3)]
    for number in range(4):
        await derive.mark(session, customers, live=number == 3)
    await derive.mark(session, customers[:1], live=False, settle=True)
    seen: list[UUID] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        assert all(stale.live.values()), "one live mark of several is enough"
        seen.extend(stale.live)

    while await derive.derive_once(session, Derivation(handle, batch=2)):
        pass
    assert sorted(seen) == sorted(customers)
    left = (await session.execute(text("SELECT customer_id FROM stale"))).scalars().all()
    assert left == customers[:1], "what is still to settle is not due"


async def test_what_is_live_comes_first_and_the_rest_goes_on_beside_it(session: WriteSession) -> None:
    """A build marks everybody: who did something meanwhile must not wait for batches that are full of it."""
    rest, live = [[await customer(session) for _ in range(count)] for count in (30, 45)]
    await derive.mark(session, rest, live=False)
    await derive.mark(session, live, live=True)
    batches: list[list[bool]] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        batches.append(list(stale.live.values()))

    while await derive.derive_once(session, Derivation(handle, batch=20, hurried=True)):
        pass
    told = [(batch.count(True), batch.count(False)) for batch in batches]
    assert told[:3] == [(20, 4), (20, 4), (5, 4)], "live ones fill a batch, and the rest has its share all the same"
    assert told[3:] == [(0, 4)] * 4 + [(0, 2)], "the next live one waits for but a few"


@pytest.mark.parametrize(("live", "rest"), [(12, 2), (3, 4), (0, 10)])
async def test_the_more_are_live_the_fewer_of_the_rest_are_with_them(
    session: WriteSession, live: int, rest: int
) -> None:
    """What a run of RFM leaves behind must not make whoever does something now wait twice as long."""
    for count, flag in ((live, True), (30, False)):
        await derive.mark(session, [await customer(session) for _ in range(count)], live=flag)
    batches: list[tuple[int, int]] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        flags = list(stale.live.values())
        batches.append((flags.count(True), flags.count(False)))

    await derive.derive_once(session, Derivation(handle, batch=100, live=10, hurried=True))
    assert batches == [(min(live, 10), rest)]


async def test_after_something_live_the_loop_takes_but_few_of_the_rest_at_once(
    service: Service, settings: CommonSettings, committed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derive, "HURRY_SECONDS", 600.0)
    async with committed.write() as session:
        customers = [await customer(session) for _ in range(30)]
        await derive.mark(session, customers[:1], live=True)
        await derive.mark(session, customers[1:], live=False)
    batches: list[tuple[int, int]] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        flags = list(stale.live.values())
        batches.append((flags.count(True), flags.count(False)))
        if sum(map(sum, batches)) == len(customers):
            runtime.stopping.set()

    derivation = Derivation(handle, batch=20)
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    await asyncio.wait_for(derive.loop(runtime, derivation), 120)
    assert batches == [(1, 19), (0, 4), (0, 4), (0, 2)]


async def test_without_anything_live_batches_are_full(session: WriteSession) -> None:
    customers = [await customer(session) for _ in range(30)]
    await derive.mark(session, customers[:25], live=False)
    await derive.mark(session, customers[25:], live=True)
    sizes: list[int] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        sizes.append(len(stale.live))

    while await derive.derive_once(session, Derivation(handle, batch=20)):
        pass
    assert sizes == [20, 10]


async def test_two_workers_claim_a_mark_each_and_nobody_waits_for_marks(committed: Database) -> None:
    async with committed.write() as session:
        one, other = await customer(session), await customer(session)
        for _ in range(2):
            await derive.mark(session, [one, other], live=True)
    seen: list[set[UUID]] = []
    first, second = asyncio.Event(), asyncio.Event()

    async def slow(_: WriteSession, stale: Stale) -> None:
        seen.append(set(stale.live))
        first.set()
        await second.wait()

    async def quick(_: WriteSession, stale: Stale) -> None:
        seen.append(set(stale.live))

    async def work() -> int:
        async with committed.write() as session:
            return await derive.derive_once(session, Derivation(slow, batch=1))

    working = asyncio.create_task(work())
    await first.wait()
    async with committed.write() as session:
        used = await derive.derive_once(session, Derivation(quick, batch=1))
    second.set()
    assert (used, await working) == (2, 2)
    assert seen[0] | seen[1] == {one, other}


async def test_both_sides_of_a_map_change_are_computed_again(session: WriteSession) -> None:
    before, after, born, joined = uuid7(), uuid7(), uuid7(), uuid7()
    changes = [MapChange(uuid7(), before, after), MapChange(born, None, born), MapChange(uuid7(), None, joined)]
    await derive.mark_changes(session, changes)
    marked: set[UUID] = set((await session.execute(text("SELECT customer_id FROM stale"))).scalars())
    assert marked == {before, after, born}


async def test_a_mark_that_a_merge_overtook_is_the_survivors(session: WriteSession) -> None:
    """Who marked the gone one read the map before the merge, and committed after it was derived."""
    gone, survivor = sorted(uuid7() for _ in range(2))
    await identity_map.apply(session, [Assignment(via=via, customer=survivor, version=2) for via in (gone, survivor)])
    await derive.mark(session, [gone], live=True)
    seen: list[Stale] = []

    async def handle(_: WriteSession, stale: Stale) -> None:
        seen.append(stale)

    while await derive.derive_once(session, Derivation(handle)):
        pass
    assert [(stale.live, stale.gone) for stale in seen] == [({}, [gone]), ({survivor: True}, [])]


async def test_the_customer_that_cannot_be_computed_goes_last(session: WriteSession) -> None:
    first, second = uuid7(), uuid7()
    await derive.mark(session, [first], live=True)
    await derive.mark(session, [second], live=False)
    await derive.rotate(session)
    rows = (await session.execute(text("SELECT customer_id FROM stale WHERE at <= now() ORDER BY at"))).scalars().all()
    assert rows == [second], "what cannot be computed, live or not, must be away for a while"


async def test_who_cannot_be_computed_is_put_off_with_all_that_is_due(session: WriteSession) -> None:
    first, second = uuid7(), uuid7()
    for _ in range(3):
        await derive.mark(session, [first], live=True)
    await derive.mark(session, [second], live=False)
    await derive.rotate(session)
    rows = (await session.execute(text("SELECT customer_id, at <= now() FROM stale ORDER BY at"))).all()
    assert [tuple(row) for row in rows] == [(second, True), (first, False)]


@pytest.mark.parametrize("live", [True, False])
async def test_one_that_cannot_be_computed_holds_up_nobody_while_live_ones_keep_coming(
    live: bool, service: Service, settings: CommonSettings, committed: Database
) -> None:
    """It is found, alone, whatever it was marked for: what is live comes first, but hides nobody."""
    async with committed.write() as session:
        bad, *rest = [await customer(session) for _ in range(30)]
        busy = [await customer(session) for _ in range(3)]
        await derive.mark(session, [bad], live=live)
        await derive.mark(session, rest, live=False)
        await derive.mark(session, busy, live=True)
    waiting = set(rest)

    async def handle(_: WriteSession, stale: Stale) -> None:
        async with committed.write() as other:
            await derive.mark(other, busy, live=True)
        if bad in stale.live:
            raise ValueError
        waiting.difference_update(stale.live)
        if not waiting:
            runtime.stopping.set()

    derivation = Derivation(handle, batch=20)
    runtime = ServiceRuntime(service, settings, committed, nats=None)  # type: ignore[arg-type]
    await asyncio.wait_for(derive.loop(runtime, derivation), 30)
    async with committed.read() as found:
        away = (await found.execute(text("SELECT customer_id FROM stale WHERE at > now()"))).scalars().all()
    assert away == [bad]


async def test_a_change_that_a_rival_was_just_writing_is_known(committed: Database) -> None:
    """Two consumers learn of one identifier at once: whoever comes second must still say where it was before."""
    via, owner = uuid7(), uuid7()
    changes: list[MapChange] = []

    async def later() -> None:
        async with committed.write() as session:
            changes.extend(await identity_map.apply(session, [Assignment(via=via, customer=owner, version=2)]))

    async with committed.write() as session:
        first = await identity_map.apply(session, [Assignment(via=via, customer=via, version=1)])
        rival = asyncio.create_task(later())
        await until_somebody_waits(committed)
    await rival
    assert first == [MapChange(via, None, via)]
    assert changes == [MapChange(via, via, owner)]


async def test_a_backlog_is_claimed_without_a_join_whatever_its_statistics_say(session: WriteSession) -> None:
    """As a join, 30 000 marks in a table that was last seen empty took minutes a batch."""
    plan = (await session.execute(text(f"EXPLAIN {claims.CLAIM}"), claims.first(2000))).scalars().all()
    assert "hashed SubPlan" in "".join(plan)
    assert "Nested Loop" not in "".join(plan)
    assert "Join" not in "".join(plan)
