"""A million marks of a backfill do not stand before the few of today."""

from sqlalchemy import text

from perennial.common.db import Database


async def test_live_marks_are_found_without_sorting_all(committed: Database) -> None:
    async with committed.write() as session:
        await session.execute(
            text("""INSERT INTO stale (customer_id, live, at)
                    SELECT gen_random_uuid(), n % 1000 = 0, now() - n * interval '1 ms'
                    FROM generate_series(1, 30000) AS n""")
        )
        await session.execute(text("ANALYZE stale"))
        plan = await session.execute(
            text("""EXPLAIN SELECT id FROM stale WHERE at <= clock_timestamp() ORDER BY live DESC, at LIMIT 250
                    FOR UPDATE SKIP LOCKED""")
        )
        steps = "\n".join(plan.scalars())
    assert "ix_stale_live_at" in steps, steps
    assert "Sort" not in steps, steps
