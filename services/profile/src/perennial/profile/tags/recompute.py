"""Have everybody derived again after a definition changed: in steps, behind what is live.

One timer walks over all customers. Each firing marks a part of them and sets the timer for the next; a definition that
changes meanwhile sends it back to the start.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text

from perennial.common import notify
from perennial.common.contracts.base import utc_now
from perennial.common.db import WriteSession
from perennial.common.derive import SETTLE_SECONDS
from perennial.common.timers import Timer, schedule

RECOMPUTE = "recompute"
STEP = 10_000
_START = UUID(int=0)
_MARK = text("""
    WITH next AS (
        SELECT via FROM identity_map WHERE via = customer_id AND via > :after ORDER BY via LIMIT :n),
    marked AS (
        INSERT INTO stale (customer_id, live, at) SELECT via, false, now() + make_interval(secs => :settle) FROM next)
    SELECT max(via::text) FROM next""")


async def want(session: WriteSession) -> None:
    """From the first customer on."""
    await schedule(session, [Timer(RECOMPUTE, "everybody", utc_now())])


async def step(session: WriteSession, timers: Sequence[Timer]) -> None:
    """Mark the next part, and come back for the rest."""
    for timer in timers:
        after = UUID(timer.payload.get("after", str(_START)))
        found = await session.execute(_MARK, {"after": after, "n": STEP, "settle": SETTLE_SECONDS})
        last = found.scalar_one()
        if last is not None:
            await schedule(session, [Timer(RECOMPUTE, timer.key, utc_now(), {"after": last})])
            await notify.notify(session, notify.STALE)
