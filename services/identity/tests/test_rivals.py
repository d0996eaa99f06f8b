"""People who merge, split and share while workers decide on the same customers: nobody waits for ever."""

import asyncio
import random
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.contracts.gateway import EventsAccepted
from perennial.common.db import Database, ReadSession
from perennial.common.problems import Problem
from perennial.common.runtime import Runtime
from perennial.identity.conflicts import service as conflicts
from perennial.identity.decider import Decider
from perennial.identity.decisions.service import Arrival
from perennial.identity.merges import service as merges
from perennial.identity.sharing import service as sharing
from perennial.identity.splits import service as splits

STAFF = Principal("staff", "ann", frozenset({"*"}))
CUSTOMERS = 12


async def ids(session: ReadSession, statement: str) -> list[UUID]:
    return list((await session.execute(text(statement))).scalars())


async def one_deed(committed: Database, chance: random.Random) -> bool:
    """Something that a person does to whatever there is; whether it went through."""
    async with committed.read() as session:
        vias = await ids(session, "SELECT via FROM identity_map ORDER BY via")
        made = {table: await ids(session, f"SELECT id FROM {table}") for table in ("merge", "split", "conflict")}
    one, other = chance.sample(vias, 2)
    verb = chance.choice(["merge", "split", "share", "unshare", "undo", "unsplit", "approve", "dismiss"])
    try:
        async with committed.write() as session:
            if verb == "merge":
                await merges.merge(session, [one, other], "x", STAFF)
            elif verb == "split":
                await splits.split(session, one, [one], "x", STAFF)
            elif verb in ("share", "unshare"):
                await getattr(sharing, verb)(session, one, "x", STAFF)
            elif verb in ("approve", "dismiss"):
                await getattr(conflicts, verb)(session, chance.choice(made["conflict"] or vias), "x", STAFF)
            else:
                service, table = (merges, "merge") if verb == "undo" else (splits, "split")
                await service.undo(session, chance.choice(made[table] or vias), "x", STAFF)
    except Problem:
        return False
    return True


async def test_people_and_workers_on_the_same_customers_do_not_deadlock(
    live_runtime: Runtime, committed: Database, accept: Any, whole: Any
) -> None:
    rivals = [Decider(live_runtime) for _ in range(3)]
    bodies = [
        {"anonymousId": f"a{n % CUSTOMERS}", "traits": {"email": f"e{(n * 7) % CUSTOMERS}@x.cn"}} for n in range(40)
    ] + [{"userId": f"u{n % 5}", "anonymousId": f"a{n % CUSTOMERS}"} for n in range(20)]
    await rivals[0].decide(Arrival.of(EventsAccepted("shop", [accept(**body) for body in bodies]), 1))

    async def decides(index: int) -> int:
        chance = random.Random(index)
        decided = 0
        for number in range(12):
            events = [accept(**chance.choice(bodies)) for _ in range(20)]
            decided += len(
                await rivals[index].decide(Arrival.of(EventsAccepted("shop", events), 100 * index + number + 2))
            )
        return decided

    async def acts(seed: int) -> int:
        chance = random.Random(seed)
        return sum([await one_deed(committed, chance) for _ in range(60)])

    async with asyncio.timeout(60):
        *decided, done, done_too = await asyncio.gather(*map(decides, range(3)), acts(7), acts(8))
    assert decided == [240] * 3
    assert done + done_too > 30
    async with committed.read() as session:
        await whole(session)
        facts = await session.execute(
            text("SELECT body FROM outbox WHERE subject = 'identity.identifiers.assigned.v1'")
        )
        copy: dict[str, tuple[int, str]] = {}
        for body in facts.scalars():
            for item in msgspec.json.decode(body)["assignments"]:
                copy[item["via"]] = max(copy.get(item["via"], (0, "")), (item["version"], item["customer"]))
        today = await session.execute(text("SELECT via, version, customer_id FROM identity_map"))
        assert {str(via): (version, str(customer)) for via, version, customer in today} == copy
