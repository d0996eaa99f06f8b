"""The verbs of overrides: say, and take back."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from perennial.common import audit, derive
from perennial.common.auth import Principal
from perennial.common.db import WriteSession
from perennial.common.web import Conflict, NotFound, Unprocessable
from perennial.loyalty.programme import service as programme
from perennial.loyalty.tiers.overrides import queries

log = structlog.get_logger()

LONGEST = timedelta(days=3660)


async def say(
    session: WriteSession, principal: Principal, values: dict[str, Any], now: datetime
) -> None:  # fmt: skip
    """Put a customer in a tier for some time.

    Raises Unprocessable for an unknown tier, or a day that is none; Conflict for a key that has been forgotten.
    """
    rules = await programme.current(session)
    tiers = [tier.name for tier in rules.tiers]
    if values["tier"] not in tiers:
        raise Unprocessable(f"tier: the tiers are {', '.join(tiers)}", code="unknown_tier", pointer="/tier")
    if not now < values["until"] <= now + LONGEST:
        raise Unprocessable(
            f"until: must lie ahead, and within {LONGEST.days} days", code="out_of_range", pointer="/until"
        )
    if not await queries.insert(session, {**values, "author": principal.id, "set_at": now}):
        raise Conflict("Idempotency-Key: it was used before, more than 7 days ago", code="idempotency_key_reused")
    detail = {name: values[name] for name in ("id", "tier", "exact", "until", "reason")}
    await _done(session, principal, "tier.overridden", values["via"], detail)


async def end(session: WriteSession, principal: Principal, customer: UUID, override: UUID, now: datetime) -> None:
    """Take an override back; one that has ended already stays as it is. Raises NotFound."""
    row = await queries.lock(session, customer, override)
    if row is None:
        raise NotFound(f"override_id: the customer has no override {override}", pointer="path/override_id")
    if row.ended_at is None and row.until > now:
        await queries.end(session, override, principal.id, now)
        await _done(session, principal, "tier.override_ended", customer, {"id": override})


async def _done(session: WriteSession, principal: Principal, action: str, customer: UUID, detail: Any) -> None:
    await derive.mark(session, [customer], live=True)
    log.info(action, customer_id=str(customer))
    await audit.record(session, principal, action, str(customer), detail)
