"""The 360 of customers as a change of the map would make it: what other services tell, they preview themselves."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common import identity_map
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, settings_of
from perennial.common.preview import OF_CUSTOMERS, Preview
from perennial.profile.customers import view
from perennial.profile.traits.definitions import schema

TOLD: Any = {
    **dict.fromkeys(("loyalty", "coupons", "segments", "journeys", "tickets", "messages", "service"), True),
    **{name: {"as_of"} for name in ("behaviour", "transactions", "attributes")},
    "identity": {"merged_from", "as_of"},
}


async def shown(session: ReadSession, who: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Traits, counters and orders of each that is known here."""
    currency = settings_of(session).currency
    known = await identity_map.customers_of(session, customers)
    who = schema.seeing(who, await schema.in_force(session))
    return {
        customer: (await view.show(session, customer, currency)).seen_by(who).model_dump(mode="json", exclude=TOLD)
        for customer in known
    }


PREVIEW = Preview(
    shown,
    "customers:read",
    writes=dict.fromkeys(("customer", "customer_order", "customer_name"), OF_CUSTOMERS)
    | dict.fromkeys(("customer_tag", "customer_stage", "stage_change"), f"{OF_CUSTOMERS} OR customer_id = ANY($2)"),
)
