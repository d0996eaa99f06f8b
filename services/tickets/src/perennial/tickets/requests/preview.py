"""The open tickets of customers, as a change of the map would make them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.preview import Preview
from perennial.tickets.requests import queries, shown
from perennial.tickets.requests.queries import Filters

MOST = 100


async def open_tickets(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    """The newest of each customer."""
    found = {}
    for customer in customers:
        rows = await queries.page(session, Filters(customer=customer, open=True), None, MOST)
        found[customer] = {"open": [item.model_dump(mode="json") for item in await shown.full(session, who, rows)]}
    return found


PREVIEW = Preview(open_tickets, "tickets:read")
