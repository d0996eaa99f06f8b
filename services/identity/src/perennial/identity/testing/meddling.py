"""People who merge, part, split and share at random while events are decided."""

import asyncio
import random
from collections import Counter
from uuid import UUID

from sqlalchemy import text

from perennial.common.auth import Principal
from perennial.common.db import Database, WriteSession
from perennial.common.problems import Conflict, Unprocessable
from perennial.identity.merges import service as merges
from perennial.identity.sharing import service as sharing
from perennial.identity.splits import service as splits

STAFF = Principal("staff", "ann", frozenset({"*"}))


async def meddle(database: Database, chance: random.Random, done: asyncio.Event) -> Counter[str]:
    """Somebody who merges, parts, splits and shares whatever there is, old names included."""
    outcomes: Counter[str] = Counter()
    acts = (merge_two, undo_merge, split_one, undo_split, share_one)
    while not done.is_set():
        act = chance.choice(acts)
        try:
            async with database.write() as session:
                await act(session, chance)
        except (Conflict, Unprocessable, NothingThere):
            outcomes["refused"] += 1
        else:
            outcomes[act.__name__] += 1
        await asyncio.sleep(0)
    return outcomes


class NothingThere(Exception):  # noqa: N818 (no error: it is early)
    """There is nothing yet to act on."""


async def _any_of(session: WriteSession, chance: random.Random, question: str, count: int = 1) -> list[UUID]:
    found = list((await session.execute(text(question))).scalars())
    if len(found) < count:
        raise NothingThere
    return chance.sample(found, count)


async def merge_two(session: WriteSession, chance: random.Random) -> None:
    pair = await _any_of(session, chance, "SELECT via FROM identity_map ORDER BY via", 2)
    await merges.merge(session, pair, "the same", STAFF)


async def undo_merge(session: WriteSession, chance: random.Random) -> None:
    [merge] = await _any_of(session, chance, "SELECT id FROM merge WHERE undone_at IS NULL ORDER BY id")
    await merges.undo(session, merge, "two", STAFF)


async def split_one(session: WriteSession, chance: random.Random) -> None:
    [via] = await _any_of(session, chance, "SELECT via FROM identity_map WHERE via <> customer_id ORDER BY via")
    await splits.split(session, via, [via], "two", STAFF)


async def undo_split(session: WriteSession, chance: random.Random) -> None:
    [split] = await _any_of(session, chance, "SELECT id FROM split WHERE undone_at IS NULL ORDER BY id")
    await splits.undo(session, split, "the same", STAFF)


async def share_one(session: WriteSession, chance: random.Random) -> None:
    question = "SELECT via FROM identity_map WHERE kind = 'device_id' ORDER BY via"
    [via] = await _any_of(session, chance, question)
    await sharing.share(session, via, "a tablet", STAFF)
