"""The SQL of simulations."""

from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession


async def members(session: ReadSession, after: UUID | None, limit: int) -> list[UUID]:
    """Customers of today by id; who of them has a tier is found out by whoever asks."""
    rows = await session.execute(
        text("""SELECT via FROM identity_map
                WHERE via = customer_id AND (CAST(:after AS uuid) IS NULL OR via > :after) ORDER BY via LIMIT :n"""),
        {"after": after, "n": limit},
    )
    return list(rows.scalars())


async def count(session: ReadSession) -> int:
    """How many there are."""
    return int((await session.execute(text("SELECT count(*) FROM identity_map WHERE via = customer_id"))).scalar_one())
