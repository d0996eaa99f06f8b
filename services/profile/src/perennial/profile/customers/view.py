"""Show customers: their sections from the rows of all their identifiers, and who answers to a search."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from perennial.common import identifiers
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.problems import Unprocessable
from perennial.common.settings import CommonSettings
from perennial.profile.customers import queries
from perennial.profile.customers.schemas import Customer, CustomerItem
from perennial.profile.orders.schemas import CustomerOrders
from perennial.profile.orders.summary import Sum, headline
from perennial.profile.params import nobody

SHORTEST_WORD = 3


async def show(session: ReadSession, any_id: UUID, currency: str) -> Customer:
    """The 360 of the customer whom an id means today; `currency` stands for orders that name none. Raises NotFound."""
    row = await queries.view(session, any_id)
    if row is None:
        raise nobody(any_id)
    details: Mapping[str, Any] = row.traits or {}
    return Customer.model_validate(
        {
            "id": row.id,
            "traits": {name: detail["value"] for name, detail in details.items()},
            "trait_details": details,
            "counters": row.counters or {},
            "orders": _orders(row.orders or [], currency),
            "loyalty": _loyalty(row.account, row.tier),
            "segments": row.segments or [],
            "tickets": {"open": row.open_tickets},
            "messages": {"sent": row.messages_sent},
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
        }
    )


def _orders(found: Sequence[Mapping[str, Any]], currency: str) -> CustomerOrders:
    sums = [
        Sum(
            currency=item["currency"] or currency,
            orders=item["orders"],
            gmv=Decimal(item["gmv"]),
            refunded=Decimal(item["refunded"]),
            last_order_at=datetime.fromisoformat(item["last_order_at"]),
        )
        for item in found
    ]
    total, others = headline(sums, currency)
    shown = total.sales().model_dump()
    return CustomerOrders(
        count=shown.pop("orders"),
        last_order_at=total.last_order_at,
        other_currencies=[other.sales() for other in others],
        **shown,
    )


def _loyalty(account: Mapping[str, Any], tier: Mapping[str, Any] | None) -> dict[str, Any] | None:
    instants = [said["as_of"] for said in (account, tier or {}) if said.get("as_of")]
    if not instants:
        return None
    return {
        "balance": account["balance"] or 0,
        "pending": account["pending"] or 0,
        "tier": tier["name"] if tier else None,
        "as_of": max(map(datetime.fromisoformat, instants)),
    }


async def listing(session: ReadSession, after: UUID, limit: int) -> list[CustomerItem]:
    """Every customer, in the order of their ids."""
    return await _items(session, await queries.listed(session, after, limit))


async def by_identifier(session: ReadSession, identifier: str, settings: CommonSettings) -> list[CustomerItem]:
    """Who has `kind:value`: one customer or none. Raises Unprocessable for what can identify nobody."""
    try:
        kind, value = identifiers.split(identifier)
    except ValueError as error:
        raise Unprocessable(str(error), code="invalid_identifier", pointer="query/identifier") from error
    normal = identifiers.normalise(kind, value, settings.region)
    if normal is None:
        raise Unprocessable(
            f"identifier: the value cannot identify anybody as {kind}",
            code="invalid_identifier",
            pointer="query/identifier",
        )
    key = bytes.fromhex(settings.identifier_key.get_secret_value())
    return await _items(session, await queries.identified(session, kind, identifiers.blind_index(key, kind, normal)))


async def search(session: ReadSession, principal: Principal, words: str, after: UUID, limit: int) -> list[CustomerItem]:
    """Customers with a trait that contains the words, or, for fewer than three characters, begins with them.

    What the principal does not see in clear is not looked into.
    """
    literal = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"{literal}%" if len(words) < SHORTEST_WORD else f"%{literal}%"
    return await _items(session, await queries.found(session, principal, pattern, after, limit))


async def _items(session: ReadSession, customers: Sequence[UUID]) -> list[CustomerItem]:
    rows = await queries.overviews(session, customers) if customers else []
    return [
        CustomerItem(
            id=row.id, traits=row.traits or {}, first_seen=row.first_seen, last_seen=row.last_seen, events=row.events
        )
        for row in rows
    ]
