"""The journeys that customers are on and their messages, as a change of the map would make them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.campaigns.enrolments import listing
from perennial.campaigns.enrolments.schemas import EnrolmentView
from perennial.campaigns.messages import queries as messages
from perennial.common.auth import Principal
from perennial.common.db import ReadSession
from perennial.common.identity_map import vias_of
from perennial.common.preview import OF_VIAS, Preview

MOST = 100


async def shown(session: ReadSession, _: Principal, customers: Sequence[UUID]) -> Mapping[UUID, Any]:
    """Each one's open enrolments, and how many messages there are by status."""
    vias, counts = await vias_of(session, customers), await messages.by_customer(session, customers)
    found = {}
    for customer in customers:
        rows = await listing.open_of(session, vias.get(customer, []), MOST)
        walks = [EnrolmentView.model_validate(row).model_dump(mode="json") for row in rows]
        found[customer] = {"enrolments": walks, "messages": counts.get(customer, {})}
    return found


PREVIEW = Preview(
    shown,
    "campaigns:read",
    writes={
        "enrolment": OF_VIAS,
        "enrolment_step": "enrolment_id IN (SELECT id FROM enrolment WHERE via = ANY($2::uuid[]))",
        "message": "via = ANY($2::uuid[]) OR enrolment_id IN (SELECT id FROM enrolment WHERE via = ANY($2::uuid[]))",
    },
)
