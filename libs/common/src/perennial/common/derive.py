"""What is shown per customer: marked stale by events and map changes, recomputed in batches behind them.

Marks are plain rows, so marking never waits; a customer marked a hundred times is computed once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import identity_map, notify
from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import WriteSession
from perennial.common.db.arrays import array
from perennial.common.failures import is_infrastructure
from perennial.common.identity_map import MapChange
from perennial.common.runtime import Runtime

log = structlog.get_logger()
derived = metrics.get_meter("perennial").create_counter("perennial.derived", description="Customers recomputed.")

IDLE_SECONDS = 30.0
SETTLE_SECONDS = 3.0
PACE_SECONDS = 0.05  # between small batches: marks made meanwhile share the next one


_MARK_OWNERS = text("""
    INSERT INTO stale (customer_id, live, at)
    SELECT DISTINCT customer_id, CAST(:live AS boolean), now() + make_interval(secs => :seconds)
    FROM identity_map WHERE via = ANY(CAST(CAST(:vias AS text) AS uuid[]))""")

# Of the customers of the first marks all that is due, so that a backlog computes nobody again and again. What another
# worker has claimed is passed over: whoever comes second gets the customer's lock after it, and computes anew.
# Nothing here is a join: by the statistics of a table that is filled and emptied all day, Postgres takes a backlog for
# a row or two, and would compare each mark with each.
_CLAIM = """
    WITH first AS MATERIALIZED (
        SELECT customer_id FROM stale WHERE at <= clock_timestamp() ORDER BY live DESC, at LIMIT :n
        FOR UPDATE SKIP LOCKED),
    claimed AS MATERIALIZED (
        SELECT id FROM stale WHERE at <= clock_timestamp() AND (customer_id IN (SELECT customer_id FROM first)) IS TRUE
        FOR UPDATE SKIP LOCKED)
    DELETE FROM stale WHERE id = ANY(ARRAY(SELECT id FROM claimed)) RETURNING customer_id, live"""
_TAKE = text(_CLAIM)
_PUT_OFF = text(f"""
    WITH gone AS ({_CLAIM})
    INSERT INTO stale (customer_id, live, at)
    SELECT customer_id, bool_or(live), clock_timestamp() + interval '1 minute' FROM gone GROUP BY customer_id""")  # noqa: S608 (ours)


@dataclass(frozen=True)
class Stale:
    """The customers to recompute, each with whether something live made it stale, and those that are no more."""

    live: dict[UUID, bool]
    gone: list[UUID]


@dataclass(frozen=True)
class Derivation:
    """`handle(session, stale)` recomputes every customer of one batch, set-based, with the customers locked."""

    handle: Callable[[WriteSession, Stale], Awaitable[None]]
    batch: int = 2000


async def mark(session: WriteSession, customers: Iterable[UUID], *, live: bool, settle: bool = False) -> None:
    """Have these customers recomputed after this transaction commits: at once, or when an import has `settle`d a bit.

    An import touches a customer again and again; the pause lets many of its batches share one computation.
    """
    ids = list(set(customers))
    if ids:
        await session.execute(
            text("""INSERT INTO stale (customer_id, live, at)
                    SELECT unnest(CAST(:ids AS uuid[])), :live, now() + make_interval(secs => :settle)"""),
            {"ids": ids, "live": live, "settle": SETTLE_SECONDS if settle else 0.0},
        )
        await notify.notify(session, notify.STALE)


async def mark_events(session: WriteSession, events: Sequence[ResolvedEvent]) -> None:
    """The customers of events, as the map has them now: live ones at once, imported ones when they have settled."""
    # By the integer: hashing a UUID is slow, and every event passes here.
    live = {event.via.int: event.via for event in events if event.live}
    late = {event.via.int: event.via for event in events if not event.live}
    await _mark_owners(session, list(live.values()), live=True, seconds=0.0)
    rest = [via for key, via in late.items() if key not in live]
    await _mark_owners(session, rest, live=False, seconds=SETTLE_SECONDS)


async def _mark_owners(session: WriteSession, vias: list[UUID], *, live: bool, seconds: float) -> None:
    if vias:
        await session.execute(_MARK_OWNERS, {"vias": array(vias), "live": live, "seconds": seconds})
        await notify.notify(session, notify.STALE)


async def mark_changes(session: WriteSession, changes: list[MapChange]) -> None:
    """Both sides of every change of the map, and customers that appear; other new identifiers are left out.

    A customer's own row may come after facts under its other identifiers: only then can it be computed.
    """
    moved = {change.before for change in changes if change.before} | {
        change.after for change in changes if change.before
    }
    born = {change.after for change in changes if change.via == change.after} - moved
    await mark(session, moved, live=False)
    await mark(session, born, live=False, settle=True)


async def derive_once(session: WriteSession, derivation: Derivation) -> int:
    """Recompute a batch of stale customers, as many as its first marks name; returns how many marks were used up."""
    taken = (await session.execute(_TAKE, {"n": derivation.batch})).all()
    if not taken:
        return 0
    live: dict[UUID, bool] = {}
    for customer, is_live in taken:
        live[customer] = live.get(customer, False) or is_live
    await identity_map.lock_customers(session, live)
    present = await identity_map.customers_of(session, live)
    gone = [customer for customer in live if present.get(customer, customer) != customer]
    current = {customer: flag for customer, flag in live.items() if present.get(customer) == customer}
    await derivation.handle(session, Stale(current, gone))
    # Whoever marked them may have read the map before a merge, and committed after it: then nobody else is marked.
    for flag in (True, False):
        heirs = {present[customer] for customer in gone if live[customer] is flag} - live.keys()
        await mark(session, heirs, live=flag)
    derived.add(len(current))
    return len(taken)


async def rotate(session: WriteSession) -> None:
    """Put the first customer off for a minute: who cannot be computed must not stop the others."""
    await session.execute(_PUT_OFF, {"n": 1})


async def loop(runtime: Runtime) -> None:
    """Recompute for as long as the process lives; a batch that fails is narrowed down to the customer at fault."""
    derivation = runtime.service.derive
    if derivation is None:
        return
    size = derivation.batch
    while not runtime.stopping.is_set():
        runtime.beats["derive"] = asyncio.get_running_loop().time()
        try:
            async with runtime.database.write() as session:
                used = await derive_once(session, replace(derivation, batch=size))
        except Exception as error:
            if is_infrastructure(error):
                log.warning("derive.waiting", error=repr(error))
                await runtime.pause(1)
            elif size > 1:
                size = max(1, size // 4)
            else:
                log.exception("derive.failed")
                await _put_off(runtime)
            continue
        size = min(derivation.batch, size * 2)
        if used < size:
            await runtime.pause(PACE_SECONDS)
        if used == 0:
            await notify.wait(runtime, notify.STALE, await _sleep(runtime))


async def _put_off(runtime: Runtime) -> None:
    try:
        async with runtime.database.write() as session:
            await rotate(session)
    except Exception as error:
        if not is_infrastructure(error):
            raise
        log.warning("derive.waiting", error=repr(error))
        await runtime.pause(1)


async def _sleep(runtime: Runtime) -> float:
    async with runtime.database.read() as session:
        statement = "SELECT extract(epoch FROM min(at) - clock_timestamp()) FROM stale"
        away = (await session.execute(text(statement))).scalar_one()
    return IDLE_SECONDS if away is None else min(IDLE_SECONDS, max(0.05, float(away)))
