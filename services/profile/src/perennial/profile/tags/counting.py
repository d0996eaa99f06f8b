"""How many customers show each tag and stand on each stage: counted now and then, so that nobody waits for millions."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Job

TAG, STAGE = "tag", "stage"
_FORGET = text("DELETE FROM shown_count")
_COUNT = text("""
    INSERT INTO shown_count (kind, ladder, key, customers, at)
    SELECT 'tag', '', key, count(*), now() FROM customer_tag GROUP BY key
    UNION ALL SELECT 'stage', ladder, stage, count(*), now() FROM customer_stage GROUP BY ladder, stage
    UNION ALL SELECT 'done', '', '', 0, now()""")
_READ = text("SELECT key, customers FROM shown_count WHERE kind = :kind AND ladder = :ladder")
_AT = text("SELECT at FROM shown_count WHERE kind = 'done'")


class Counted(NamedTuple):
    """Customers by key, as it was `at`: None before the first count."""

    customers: Mapping[str, int]
    at: datetime | None


async def count(session: WriteSession) -> None:
    """Count everything anew."""
    await session.execute(_FORGET)
    await session.execute(_COUNT)


async def counted(session: ReadSession, kind: str, ladder: str = "") -> Counted:
    """What was counted last."""
    rows = await session.execute(_READ, {"kind": kind, "ladder": ladder})
    found = {row.key: row.customers for row in rows}
    return Counted(found, (await session.execute(_AT)).scalar_one_or_none())


async def job(runtime: Runtime) -> None:
    """The job's."""
    async with runtime.database.write() as session:
        await count(session)


COUNT = Job("counts", timedelta(minutes=5), job)
