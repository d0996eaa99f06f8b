"""The verbs of expiry: put it off, announce it."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import structlog

from perennial.common.contracts.loyalty import ExpiryAnnounced
from perennial.common.db import WriteSession, settings_of
from perennial.common.outbox import emit
from perennial.loyalty.expiry import queries
from perennial.loyalty.programme import service as programme
from perennial.loyalty.programme.earning import in_force

log = structlog.get_logger()

BATCH = 1000


async def slide(session: WriteSession, customers: Collection[UUID]) -> None:
    """Put off the end of lots that last as long as their customer does something; the customers are locked."""
    earners = await programme.history(session)
    sliding = {item.code for earner in earners for item in earner.programme.currencies if item.slides}
    if not sliding:
        return
    zone, activity = settings_of(session).zone, await queries.activity(session, customers)
    changed = []
    for customer, lot in await queries.standing_lots(session, customers, sliding):
        rule = in_force(earners, lot.earned_at).programme.currency(lot.currency).expiry
        ends = rule.slid(lot.earned_at, activity.get(customer, ()), zone)
        if ends != lot.expires_at:
            changed.append((lot.id, ends))
    await queries.move_expiries(session, changed)


async def announce(session: WriteSession, now: datetime) -> int:
    """Say of one batch of lots that they are about to expire; returns how many facts that made.

    A lot is announced once for each of the programme's notices, whatever runs twice; after downtime only the nearest.
    """
    rules = await programme.current(session)
    if not rules.expiry_notices:
        return 0
    rows = await queries.announce(session, rules.expiry_notices, now, settings_of(session).timezone, BATCH)
    await emit(
        session,
        *[
            ExpiryAnnounced(
                via=row.via, customer=row.customer_id, currency=row.currency, points=row.points,
                expires_at=row.expires_at, days=row.days, occurred_at=now,
            )
            for row in rows
        ],
    )  # fmt: skip
    await queries.forget_notices(session, now)
    if rows:
        log.info("expiry.announced", customers=len(rows))
    return len(rows)
