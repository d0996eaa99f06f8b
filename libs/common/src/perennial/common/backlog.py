"""What waits in a service's tables, as gauges: measured by whoever relays, so that one process says it."""

import asyncpg
from opentelemetry import metrics

from perennial.common.packs import COUNTED

meter = metrics.get_meter("perennial")
depth = meter.create_gauge("perennial.outbox.depth", description="Facts waiting to be published.")
lag = meter.create_gauge("perennial.outbox.lag", unit="s", description="Age of the oldest waiting fact.")
parked = meter.create_gauge("perennial.parked.waiting", description="Parked events not replayed, 1000 at most.")
overdue = meter.create_gauge("perennial.timer.overdue", unit="s", description="Age of the oldest timer that is due.")

_WAITING = f"""
    SELECT (SELECT coalesce(sum({COUNTED}), 0) FROM outbox WHERE published_at IS NULL) AS depth,
           (SELECT extract(epoch FROM now() - min(created_at)) FROM outbox WHERE published_at IS NULL) AS lag,
           (SELECT count(*) FROM (SELECT FROM parked WHERE replayed_at IS NULL LIMIT 1000) AS few) AS parked,
           (SELECT extract(epoch FROM now() - min(due_at)) FROM timer) AS overdue"""  # noqa: S608 (ours)


async def measure(connection: asyncpg.Connection) -> None:
    """Set the gauges; `connection` is of the service's login role."""
    waiting = await connection.fetchrow(_WAITING)
    if waiting is not None:
        depth.set(waiting["depth"])
        lag.set(float(waiting["lag"] or 0))
        parked.set(waiting["parked"])
        overdue.set(max(0.0, float(waiting["overdue"] or 0)))


def forget() -> None:
    """Say nothing any more: another process is asked from now on, and an old value would stand for ever."""
    for gauge in (depth, lag, parked, overdue):
        gauge.set(0)
