"""The SQL of overrides."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession

_COLUMNS = "o.id, o.via, o.tier, o.exact, o.reason, o.author, o.set_at, o.until, o.ended_at, o.ended_by"
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM identity_map m JOIN tier_override o ON o.via = m.via
    WHERE m.customer_id = :customer
      AND (CAST(:at AS timestamptz) IS NULL OR (o.set_at, o.id) < (:at, CAST(:id AS uuid)))
    ORDER BY o.set_at DESC, o.id DESC LIMIT :n""")  # noqa: S608 (ours)
_LOCK = text(f"""
    SELECT {_COLUMNS} FROM tier_override o JOIN identity_map m ON m.via = o.via
    WHERE o.id = :id AND m.customer_id = :customer FOR UPDATE OF o""")  # noqa: S608 (ours)
_HISTORY = text("""
    SELECT customer_id, version, tier, previous, at, why, programme FROM tier_history
    WHERE customer_id IN (SELECT via FROM identity_map WHERE customer_id = :customer)
      AND (CAST(:before AS bigint) IS NULL OR version < :before)
    ORDER BY version DESC LIMIT :n""")


async def page(
    session: ReadSession, customer: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[Row[Any]]:  # fmt: skip
    """What was ever said of a customer's tier, the newest first."""
    at, last = after or (None, None)
    return list(await session.execute(_PAGE, {"customer": customer, "at": at, "id": last, "n": limit}))


async def insert(session: WriteSession, values: dict[str, Any]) -> bool:
    """Keep a word of staff; False when it is there already."""
    found = await session.execute(
        text("""INSERT INTO tier_override (id, via, tier, exact, reason, author, set_at, until)
                VALUES (:id, :via, :tier, :exact, :reason, :author, :set_at, :until)
                ON CONFLICT (id) DO NOTHING RETURNING 1"""),
        values,
    )
    return found.scalar_one_or_none() is not None


async def lock(session: WriteSession, customer: UUID, override: UUID) -> Row[Any] | None:
    """One of a customer's, held until the transaction ends."""
    return (await session.execute(_LOCK, {"customer": customer, "id": override})).one_or_none()


async def end(session: WriteSession, override: UUID, author: str, at: datetime) -> None:
    """It holds no longer."""
    await session.execute(
        text("UPDATE tier_override SET ended_at = :at, ended_by = :author WHERE id = :id"),
        {"id": override, "author": author, "at": at},
    )


async def history(session: ReadSession, customer: UUID, before: int | None, limit: int) -> list[Row[Any]]:
    """The tiers that a customer was told, under whatever id, the newest first."""
    return list(await session.execute(_HISTORY, {"customer": customer, "before": before, "n": limit}))
