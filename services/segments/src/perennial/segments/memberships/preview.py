"""Segments and RFM of customers, as a change of the map would make them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common.auth import Principal
from perennial.common.db import ReadSession, settings_of
from perennial.common.preview import NOTHING, OF_CUSTOMERS, OF_VIAS, Preview
from perennial.segments.memberships import queries
from perennial.segments.rfm.schemas import RfmOut
from perennial.segments.rfm.standings import queries as rfm


async def shown(session: ReadSession, _: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Where each is a member, and where each stands among all."""
    settings = settings_of(session)
    inside = await queries.named(session, customers)
    standings = await rfm.of_customers(session, customers, settings.currency, settings.timezone)
    rows = {customer: RfmOut.of(row).model_dump(mode="json", by_alias=True) for customer, row in standings.items()}
    return {customer: {"segments": inside.get(customer, []), "rfm": rows.get(customer)} for customer in customers}


PREVIEW = Preview(shown, "segments:read", writes={
    "membership": OF_CUSTOMERS, "membership_change": NOTHING, "rfm_standing": OF_CUSTOMERS, "rfm_touched": NOTHING,
    "build_touched": NOTHING,
    "trait": OF_VIAS, "derived_trait": OF_CUSTOMERS,
})  # fmt: skip
