"""Show what is masked, and write down who saw it and why: never the values themselves."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from perennial.common import audit, identity_map, rules
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.profile.params import no_event, nobody
from perennial.profile.reveals import queries
from perennial.profile.timeline import queries as timeline
from perennial.profile.traits.sealing import Opened


async def traits(
    session: WriteSession, who: Principal, any_id: UUID, fields: Sequence[str], reason: str
) -> tuple[UUID, dict[str, Any]]:
    """Today's id of a customer and these of its traits in clear. Raises NotFound."""
    customer = await identity_map.customer_of(session, any_id)
    if customer is None:
        raise nobody(any_id)
    keys = sorted({rules.trait_key(field) for field in fields})
    found = await queries.traits(session, customer, keys)
    await audit.record(session, who, "customer.revealed", str(customer), {"fields": keys, "reason": reason})
    return customer, found


async def event(session: WriteSession, who: Principal, message_id: str, source: str | None, reason: str) -> Opened:
    """An event as it was sent. Raises NotFound."""
    row = await timeline.by_message(session, message_id, source)
    if row is None:
        raise no_event(message_id)
    customer = await identity_map.customer_of(session, row.via)
    detail = {"event": str(row.id), "fields": ["body"], "reason": reason}
    await audit.record(session, who, "event.revealed", str(customer or row.via), detail)
    return row
