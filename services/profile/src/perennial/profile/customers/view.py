"""Show customers: their sections from the rows of all their identifiers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from perennial.common.db import ReadSession
from perennial.profile.consents import view as consents
from perennial.profile.customers import queries
from perennial.profile.customers.schemas import Customer, Me
from perennial.profile.orders.schemas import CustomerOrders
from perennial.profile.orders.summary import Sum, headline
from perennial.profile.params import nobody
from perennial.profile.timeline import kinds
from perennial.profile.timeline import queries as timeline
from perennial.profile.traits.sealing import Opened

LINKS = {"consents": "/v1/me/consents", "export": "/v1/me/export", "erasure": "/v1/me/erasure"}
RECENT = timeline.Filter(types=kinds.TRACKED, classes=kinds.OF_TRACKED)
RECENT_EVENTS = 10
POINTS = "points"  # every programme has them; other currencies are wallets beside


async def show(session: ReadSession, any_id: UUID, currency: str) -> Customer:
    """The 360 of the customer whom an id means today; `currency` stands for orders that name none. Raises NotFound."""
    row = await _sections(session, any_id)
    events = await timeline.of_customer(session, any_id, RECENT, RECENT_EVENTS)
    seen = {name: row.activity[name] for name in ("first_seen", "last_seen")}
    details: Mapping[str, Any] = row.traits or {}
    orders = _orders(row.orders or [], currency)
    service = _service(row)
    return Customer.model_validate(
        {
            "id": row.id,
            **seen,
            "identity": {
                "identifiers": row.identifiers or {}, **seen, "merged_from": row.merged_from or [], "as_of": row.now,
            },
            "behaviour": _behaviour(row, events),
            "transactions": {**orders.model_dump(), "as_of": row.now},
            "service": service,
            "attributes": {"traits": details, **(row.derived or UNDERIVED)},
            "loyalty": _loyalty(row.account, row.tier, row.expiring),
            "coupons": _coupons(row),
            "segments": row.segments or [],
            "journeys": row.journeys or [],
            "consents": [said.model_dump() for said in await consents.holding(session, row.id)],
            "traits": {name: detail["value"] for name, detail in details.items()},
            "trait_details": details,
            "counters": row.counters or {},
            "orders": orders,
            "tickets": {"open": service["open"]},
            "messages": {"sent": row.sent_before + sum(reach["sent"] for reach in service["messages"])},
        }
    )  # fmt: skip


async def show_own(session: ReadSession, any_id: UUID, currency: str) -> Me:
    """What the customer whom an id means today may see of their own. Raises NotFound."""
    row = await _sections(session, any_id)
    requests = row.requests or []
    return Me.model_validate(
        {
            "id": row.id,
            "traits": {name: detail["value"] for name, detail in (row.traits or {}).items()},
            "orders": _orders(row.orders or [], currency),
            "loyalty": _loyalty(row.account, row.tier, row.expiring),
            "coupons": _coupons(row),
            "tickets": {"open": len(requests), "requests": requests},
            "first_seen": row.activity["first_seen"],
            "last_seen": row.activity["last_seen"],
            "links": LINKS,
        }
    )


UNDERIVED: Mapping[str, Any] = {"computed": {}, "tags": [], "stage": None, "as_of": None}


async def _sections(session: ReadSession, any_id: UUID) -> Opened:
    row = await queries.view(session, any_id)
    if row is None:
        raise nobody(any_id)
    return row


def _behaviour(row: Opened, events: Sequence[Opened]) -> dict[str, Any]:
    return {
        "events": row.activity["events"],
        "last_seen": row.activity["last_seen"],
        "sources": row.sources or [],
        "counters": row.counters or {},
        "recent": [
            {"id": event.id, "type": event.type, "name": event.name, "at": event.timestamp, "source": event.source}
            for event in events
        ],
        "as_of": row.now,
    }


def _service(row: Opened) -> dict[str, Any]:
    requests, messages = row.requests or [], row.channels or []
    heard = [
        datetime.fromisoformat(reach[name])
        for reach in messages
        for name in ("last_sent_at", "last_suppressed_at")
        if reach[name]
    ]
    return {
        "open": len(requests),
        "requests": requests,
        "ratings": row.ratings or [],
        "messages": messages,
        "as_of": max((at for at in (row.tickets_as_of, *heard) if at is not None), default=None),
    }


def _coupons(row: Opened) -> dict[str, Any]:
    return {**row.coupons, "items": row.coupons_held or []}


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


def _loyalty(
    wallets: Mapping[str, Any] | None, tier: Mapping[str, Any] | None, ending: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    held = wallets or {}
    instants = [said["as_of"] for said in (*held.values(), tier or {}) if said.get("as_of")]
    if not instants:
        return None
    points = held.get(POINTS, {})
    return {
        "balance": points.get("balance", 0),
        "pending": points.get("pending", 0),
        "wallets": {
            code: {
                "balance": wallet["balance"],
                "pending": wallet["pending"],
                "expiring": _expiring((ending or {}).get(code, ()), wallet["balance"]),
            }
            for code, wallet in held.items()
        },
        "tier": tier["name"] if tier else None,
        "as_of": max(map(datetime.fromisoformat, instants)),
    }


def _expiring(announced: Sequence[Mapping[str, Any]], balance: int) -> list[dict[str, Any]]:
    """The soonest first, and together no more than there is: what was spent since the announcement is not in it."""
    found, left = [], max(balance, 0)
    for item in announced:
        points = min(item["points"], left)
        left -= points
        if points:
            found.append({**item, "points": points})
    return found
