"""The SQL of retention."""

from collections.abc import Mapping

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

_READ = text("""
    SELECT r.data_class, r.months, coalesce(t.version, 0) AS version
    FROM event_retention() AS r LEFT JOIN retention AS t USING (data_class)""")
_HOLD = text("LOCK TABLE retention IN SHARE ROW EXCLUSIVE MODE")
_WRITE = text("""
    INSERT INTO retention AS r (data_class, months)
    SELECT * FROM unnest(CAST(:classes AS text[]), CAST(:months AS int[]))
    ON CONFLICT (data_class) DO UPDATE SET months = excluded.months, version = r.version + 1""")
_DROP = text("SELECT drop_event_part()")


async def read(session: ReadSession) -> tuple[dict[str, int], int]:
    """Months by data class, and the version of them all."""
    rows = (await session.execute(_READ)).all()
    return {row.data_class: row.months for row in rows}, sum(row.version for row in rows)


async def hold(session: WriteSession) -> None:
    """Nobody else changes them until the transaction ends; readers go on."""
    await session.execute(_HOLD)


async def write(session: WriteSession, months: Mapping[str, int]) -> None:
    """Set the months of these classes."""
    await session.execute(_WRITE, {"classes": list(months), "months": list(months.values())})


async def drop(session: WriteSession) -> str | None:
    """Drop the oldest partition that is kept no longer, and return its name.

    Raises DBAPIError (lock_not_available) when readers or writers did not let go of it.
    """
    name: str | None = (await session.execute(_DROP)).scalar_one()
    return name
