"""Whose an id is."""

from uuid import UUID

from perennial.common import identity_map
from perennial.common.db import ReadSession
from perennial.common.web import NotFound


async def owner_of(session: ReadSession, customer_id: UUID) -> UUID:
    """Today's customer of an id, old ones included. Raises NotFound."""
    found = await identity_map.customer_of(session, customer_id)
    if found is not None:
        return found
    if await identity_map.vias_of(session, [customer_id]):  # heard of in an event, before the map told of it
        return customer_id
    raise NotFound(f"customer_id: there is no customer {customer_id}", pointer="path/customer_id")
