"""The SQL of checking in."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession

CHECK_IN = "check-in"


async def days(session: ReadSession, vias: Collection[UUID], upto: date, limit: int) -> list[date]:
    """The days on which any of the identifiers checked in, the latest first."""
    found = await session.execute(
        text("""SELECT DISTINCT day FROM activity
                WHERE via = ANY(:vias) AND name = :name AND day <= :upto ORDER BY day DESC LIMIT :n"""),
        {"vias": list(vias), "name": CHECK_IN, "upto": upto, "n": limit},
    )
    return list(found.scalars())


async def told(session: ReadSession, vias: Collection[UUID], day: date) -> Mapping[str, Any]:
    """What a day's check-in brought; of two that a merge brought together, the first by identifier."""
    found = await session.execute(
        text("SELECT told FROM activity WHERE via = ANY(:vias) AND name = :name AND day = :day ORDER BY via LIMIT 1"),
        {"vias": list(vias), "name": CHECK_IN, "day": day},
    )
    return found.scalar_one_or_none() or {}
