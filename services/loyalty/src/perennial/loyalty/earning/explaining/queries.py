"""The SQL of explanations."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession

_LOTS = """SELECT id, currency, points, reversed, expired, state, active_at, expires_at, purchase_id, via, earned_at
           FROM lot"""


@dataclass(frozen=True)
class Used:
    """Points of a lot that a spending took."""

    lot_id: UUID
    points: int


async def posting(session: ReadSession, vias: Sequence[UUID], posting_id: UUID) -> Row[Any] | None:
    """A posting of some identifiers, and its lot, if it is about one."""
    found = await session.execute(
        text("""SELECT p.id, p.kind, p.currency, p.at, p.points, p.pending, p.reason, p.reference, p.via, p.lot_id
                FROM posting p WHERE p.id = :id AND p.via = ANY(:vias)"""),
        {"id": posting_id, "vias": list(vias)},
    )
    return found.one_or_none()


async def lot(session: ReadSession, lot_id: UUID) -> Row[Any] | None:
    """A lot."""
    return (await session.execute(text(f"{_LOTS} WHERE id = :id"), {"id": lot_id})).one_or_none()


async def lots(session: ReadSession, ids: Sequence[UUID]) -> list[Row[Any]]:
    """Lots, by currency and time."""
    found = await session.execute(
        text(f"{_LOTS} WHERE id = ANY(:ids) ORDER BY currency, earned_at, id"), {"ids": list(ids)}
    )
    return list(found)


async def lots_of_purchase(session: ReadSession, purchase_id: UUID, via: UUID, since: datetime) -> list[Row[Any]]:
    """The lots that an order brought, completed by `via` at `since`."""
    of_order = "WHERE via = :via AND earned_at >= :since AND purchase_id = :id"
    found = await session.execute(
        text(f"{_LOTS} {of_order} ORDER BY currency, earned_at, id"),
        {"id": purchase_id, "via": via, "since": since},
    )
    return list(found)


async def refunds(session: ReadSession, purchase_id: UUID) -> list[Row[Any]]:
    """What was refunded of an order; an amount of null is the whole."""
    found = await session.execute(
        text("SELECT at, amount FROM refund WHERE purchase_id = :id ORDER BY at, key"), {"id": purchase_id}
    )
    return list(found)


async def uses(session: ReadSession, posting_id: UUID) -> list[Used]:
    """The lots that a spending took."""
    rows = await session.execute(
        text("SELECT lot_id, points FROM lot_use WHERE posting_id = :id ORDER BY lot_id"), {"id": posting_id}
    )
    return [Used(row.lot_id, row.points) for row in rows]


async def activities_at(session: ReadSession, via: UUID, at: datetime) -> list[UUID]:
    """The events that were asked about of an identifier at an instant."""
    rows = await session.execute(
        text("SELECT id FROM activity WHERE via = :via AND at = :at ORDER BY id"), {"via": via, "at": at}
    )
    return list(rows.scalars())
