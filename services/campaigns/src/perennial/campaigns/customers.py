"""Customers as somebody names them today."""

from uuid import UUID

from perennial.common.db import ReadSession
from perennial.common.identity_map import customer_of, vias_of


async def vias_today(session: ReadSession, customer: UUID | None) -> list[UUID] | None:
    """The identifiers of a customer named by any of its ids, old ones too; None when nobody was named."""
    if customer is None:
        return None
    today = await customer_of(session, customer)
    return (await vias_of(session, [today])).get(today, []) if today else []
