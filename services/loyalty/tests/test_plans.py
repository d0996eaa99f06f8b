"""What is read of a few customers costs by their number, however many others there are."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.loyalty.expiry import queries as expiry
from perennial.loyalty.points import queries

CROWD = """
    WITH people AS (
        INSERT INTO identity_map (via, customer_id, version)
        SELECT id, id, 1 FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 3000)) AS one RETURNING via
    ), spent AS (
        INSERT INTO posting (id, kind, via, at, points, pending, reason)
        SELECT via, 'spend', via, now(), -1, 0, 'crowd' FROM people
    )
    INSERT INTO lot (id, via, posting_id, points, state, qualifies, earned_at, active_at)
    SELECT via, via, via, 5, 'active', false, now(), now() FROM people"""
READ = """
    SELECT CAST(coalesce(sum(seq_tup_read), 0) AS bigint) FROM pg_stat_xact_user_tables
    WHERE schemaname = current_schema() AND relname IN ('lot', 'posting', 'identity_map')"""

Reading = Callable[[WriteSession, list[UUID]], Awaitable[Any]]


async def _standing(session: WriteSession, customers: list[UUID]) -> Any:
    return await expiry.standing_lots(session, customers, ["points"])


@pytest.mark.parametrize(
    "reading", [queries.sources, queries.spendings, _standing], ids=["lots", "spendings", "standing"]
)
async def test_a_few_among_many(session: WriteSession, reading: Reading) -> None:
    await session.execute(text(CROWD))
    chosen = list((await session.execute(text("SELECT via FROM identity_map LIMIT 4"))).scalars())
    before = (await session.execute(text(READ))).scalar_one()
    found = await reading(session, chosen)
    assert len(found) == 4
    assert (await session.execute(text(READ))).scalar_one() - before < 100
