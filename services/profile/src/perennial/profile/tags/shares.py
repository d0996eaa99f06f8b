"""Where the share of a computed tag begins: counted now and then, and when a definition changes; of many a sample."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, text

from perennial.common import notify
from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.common.timers import Timer, schedule
from perennial.profile.quality.measuring.queries import sample

SHARES = "shares"
MOST = 200_000  # customers that are looked at: of so many a share is found to a thousandth
AGAIN = timedelta(seconds=10)
_NUMBERS = """
    SELECT customer_id, v::numeric AS v FROM (
        SELECT customer_id, coalesce(computed -> :trait, traits -> :trait) #>> '{}' AS v
        FROM customer {sample}) AS shown
    WHERE v ~ '^-?[0-9]{1,30}([.][0-9]{1,15})?$'"""


def _numbers(sample: str) -> str:
    return _NUMBERS.replace("{sample}", sample)


# Equal numbers stand or fall together, so a share is never larger than was asked.
_CUT = """
    SELECT {end}(v) FROM (SELECT v, cume_dist() OVER (ORDER BY v {order}) AS share FROM ({numbers}) AS n) AS ranked
    WHERE share <= :share"""
_WANTED = text("""
    SELECT key, basis -> 'computed' AS asked, cut FROM tag_definition WHERE active AND kind = 'computed'
    ORDER BY key FOR UPDATE SKIP LOCKED""")
_ACTIVE = text("SELECT count(*) FROM tag_definition WHERE active AND kind = 'computed'")
_SET = text("UPDATE tag_definition SET cut = :cut WHERE key = :key")
_MOVED = text(f"""
    INSERT INTO stale (customer_id, live, at)
    SELECT customer_id, false, now() FROM ({_numbers("")}) AS n
    WHERE (v >= CAST(:old AS numeric)) IS DISTINCT FROM (v >= CAST(:new AS numeric))
       OR (v <= CAST(:old AS numeric)) IS DISTINCT FROM (v <= CAST(:new AS numeric))""")  # noqa: S608


async def want(session: WriteSession) -> None:
    """Count soon."""
    await schedule(session, [Timer(SHARES, "count", utc_now())])


async def fire(session: WriteSession, _: Sequence[Timer]) -> None:
    """The timer's handler."""
    await count(session)


async def job(runtime: Runtime) -> None:
    """The job's."""
    async with runtime.database.write() as session:
        await count(session)


async def count(session: WriteSession) -> int:
    """Count every share afresh, and have those derived again who are on another side now; returns how many moved."""
    moved = 0
    wanted = (await session.execute(_WANTED)).all()
    # Who changes a definition has it locked and wants our timer, which we hold: waiting for them would never end.
    if len(wanted) < (await session.execute(_ACTIVE)).scalar_one():
        await schedule(session, [Timer(SHARES, "count", utc_now() + AGAIN)])
    how = await sample(session, "customer", MOST)
    for row in wanted:
        cut = await _cut(session, row, how.clause)
        if cut == row.cut:
            continue
        moved += 1
        await session.execute(_SET, {"key": row.key, "cut": cut})
        await session.execute(_MOVED, {"trait": row.asked["trait"], "old": row.cut, "new": cut})
    if moved:
        await notify.notify(session, notify.STALE)
    return moved


async def _cut(session: WriteSession, row: Row[Any], looked_at: str) -> Decimal | None:
    top = "top" in row.asked
    statement = _CUT.format(end="min" if top else "max", order="DESC" if top else "ASC", numbers=_numbers(looked_at))
    values = {"trait": row.asked["trait"], "share": row.asked["top" if top else "bottom"] / 100}
    found: Decimal | None = (await session.execute(text(statement), values)).scalar_one()
    return found
