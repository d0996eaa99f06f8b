"""A million marks of a backfill do not stand before the few of today."""

import pytest
from sqlalchemy import text

from perennial.common import claims
from perennial.common.db import Database


@pytest.mark.parametrize("hurried", [True, False], ids=["hurried", "at leisure"])
async def test_marks_are_claimed_without_looking_at_all(committed: Database, *, hurried: bool) -> None:
    """Also while the statistics are those of a table that was empty; then any index that is in order will do."""
    async with committed.write() as session:
        await session.execute(text("ANALYZE stale"))
        await session.execute(
            text("""INSERT INTO stale (customer_id, live, at)
                    SELECT gen_random_uuid(), n % 1000 = 0, now() - n * interval '1 ms'
                    FROM generate_series(1, 30000) AS n""")
        )
    early = await _plan(committed, hurried=hurried)
    async with committed.write() as session:
        await session.execute(text("ANALYZE stale"))
    settled = await _plan(committed, hurried=hurried)
    assert "ix_stale_live_at" in settled, settled
    for steps in (early, settled):
        assert "ix_stale_customer_id" in steps, steps
        for slow in ("Seq Scan", "Sort", "Join"):
            assert slow not in steps, steps


async def _plan(database: Database, *, hurried: bool) -> str:
    async with database.write() as session:
        await session.execute(claims.SEQSCAN, {"value": "off"})
        values = claims.first(1000, hurried=hurried)
        return "\n".join((await session.execute(text(f"EXPLAIN {claims.TAKE_CONCERNED.text}"), values)).scalars())
