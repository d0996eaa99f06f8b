"""Points and tiers of customers, as a change of the map would make them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.preview import OF_CUSTOMERS, OF_VIAS, Preview
from perennial.loyalty.accounts import service
from perennial.loyalty.accounts.schemas import AccountOut


async def shown(session: ReadSession, _: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    """The account of each."""
    found = await service.accounts(session, customers)
    return {item.customer_id: AccountOut.model_validate(item).model_dump(mode="json") for item in found}


PREVIEW = Preview(
    shown,
    "loyalty:read",
    writes={
        "tier_state": OF_CUSTOMERS,
        "tier_history": OF_CUSTOMERS,
        "lot": OF_VIAS,
        "posting": OF_VIAS,
        "account": OF_VIAS,
        "membership": OF_CUSTOMERS,
        "referral": f"{OF_VIAS} OR friend = ANY($2::uuid[])",
        "split_debt": f"{OF_VIAS} OR lender = ANY($2::uuid[])",
        "lot_use": """lot_id IN (SELECT id FROM lot WHERE via = ANY($2::uuid[]))
            OR posting_id IN (SELECT id FROM posting WHERE via = ANY($2::uuid[]) AND lot_id IS NULL)""",
    },
)
