"""Tiers are derived: up at once, down when the points that they rest on leave the window."""

from datetime import datetime, timedelta

import structlog

from perennial.common import derive
from perennial.common.contracts.base import Event, utc_now
from perennial.common.contracts.loyalty import Tier, TierChanged, TiersChanged
from perennial.common.db import WriteSession
from perennial.common.derive import Stale
from perennial.common.outbox import emit
from perennial.loyalty.programme import service as programme
from perennial.loyalty.tiers import queries

log = structlog.get_logger()


async def refresh(session: WriteSession, stale: Stale, now: datetime | None = None) -> None:
    """Derive the tiers of one batch of customers afresh, and say which have changed."""
    now = now or utc_now()
    rules = await programme.current(session)
    window = timedelta(days=rules.tier_window_days)
    rows = await queries.standings(session, stale.live, rules, now - window, now)
    before = await queries.states(session, stale.live)
    await queries.remove(session, [*stale.gone, *(before.keys() - {row.customer_id for row in rows})])
    written = await queries.write(session, rows, window, now)
    changed = [row for row in written if before.get(row.customer_id) != row.tier]
    if not changed:
        return
    base = rules.tiers[0].name
    facts: list[Event] = [TiersChanged(tiers=[
        Tier(customer=row.customer_id, tier=row.tier, since=row.since, version=row.version) for row in changed
    ])]  # fmt: skip
    facts += [
        TierChanged(
            customer=row.customer_id, tier=row.tier, previous=before.get(row.customer_id, base), version=row.version
        )
        for row in changed
        if stale.live[row.customer_id] and before.get(row.customer_id, base) != row.tier
    ]
    await emit(session, *facts)
    log.info("tiers.changed", customers=len(changed))


async def review(session: WriteSession, now: datetime) -> int:
    """Have customers looked at again whose tier has lost what it rests on; returns how many."""
    due = await queries.due(session, now)
    await derive.mark(session, due, live=True)
    return len(due)
