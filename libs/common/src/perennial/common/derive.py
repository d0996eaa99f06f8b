"""What is shown per customer: marked stale by events and map changes, recomputed in batches behind them.

Marks are plain rows, so marking never waits; a customer marked a hundred times is computed once. A service whose
table `stale` has the column `concern` may say with a mark what it is about; without, anything may have changed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common import claims, identity_map, notify
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
LONGEST_REST_SECONDS = 0.25
HURRY_SECONDS = 10.0  # so long after something live, batches of the rest are small: the next live one waits for them


_MARK_OWNERS = text("""
    INSERT INTO stale (customer_id, live, at)
    SELECT DISTINCT customer_id, CAST(:live AS boolean), now() + make_interval(secs => :seconds)
    FROM identity_map WHERE via = ANY(CAST(CAST(:vias AS text) AS uuid[]))""")
# Who has just appeared and is to be computed whole in a while is computed whole now.
_MARK_CONCERNED = text("""
    INSERT INTO stale (customer_id, live, at, concern)
    SELECT m.customer_id, CAST(:live AS boolean), now() + make_interval(secs => :seconds),
           CASE WHEN NOT EXISTS (SELECT FROM stale AS s WHERE s.customer_id = m.customer_id AND s.concern = '*')
                THEN said.concern END
    FROM unnest(CAST(CAST(:vias AS text) AS uuid[]), CAST(:concerns AS text[])) AS said (via, concern)
    JOIN identity_map AS m ON m.via = said.via""")
_MARK = text("""
    INSERT INTO stale (customer_id, live, at)
    SELECT unnest(CAST(CAST(:ids AS text) AS uuid[])), :live, now() + make_interval(secs => :settle)""")
_MARK_EACH = text("""
    INSERT INTO stale (customer_id, live, at, concern)
    SELECT id, :live, now() + make_interval(secs => :settle), concern
    FROM unnest(CAST(CAST(:ids AS text) AS uuid[]), CAST(:concerns AS text[])) AS said (id, concern)""")

Concern = frozenset[str]
NOTHING: Concern = frozenset()
ANYTHING = "*"  # the concern of a customer that has appeared: also of marks made before it is computed
_ANYTHING: Concern = frozenset({ANYTHING})


@dataclass(frozen=True)
class Stale:
    """The customers to recompute, each with whether something live made it stale, and those that are no more.

    `concerns` has those of whom is known what their marks were about, as words of the service; of the others anything
    may have changed. `said` has all words that any mark had, ANYTHING where one had none.
    """

    live: dict[UUID, bool]
    gone: list[UUID]
    concerns: Mapping[UUID, Concern] = field(default_factory=dict)
    said: Mapping[UUID, Concern] = field(default_factory=dict)


@dataclass(frozen=True)
class Derivation:
    """`handle(session, stale)` recomputes every customer of one batch, set-based, with the customers locked.

    `concerned`: the service's table `stale` has the column `concern`, and an index by customer. `rest`: how many times
    as long as a small batch took to wait for the next one, within bounds: the busier the machine, the more marks share
    a batch. `hurried`: something live was there lately, so that of the rest a batch takes but a few. A batch of less
    than `FEW` has no such share: with `aside` it is of the rest alone. `live`: of how many live marks a batch is, if
    fewer than `batch`, unless more and more wait: whoever does something meanwhile waits for it, and for its own.
    """

    handle: Callable[[WriteSession, Stale], Awaitable[None]]
    batch: int = 2000
    live: int = 2000
    concerned: bool = False
    rest: int = 0
    hurried: bool = False
    aside: bool = False


@lru_cache(maxsize=65_536)
def spell(concern: Concern) -> str:
    """A concern as it stands in the table."""
    return json.dumps(sorted(concern), ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=65_536)
def _read(concern: str | None) -> Concern:
    return _ANYTHING if concern is None or concern == ANYTHING else frozenset(json.loads(concern))


async def mark(
    session: WriteSession, customers: Iterable[UUID], *, live: bool, settle: bool = False, concern: str | None = None
) -> None:
    """Have these customers recomputed after this transaction commits: at once, or when an import has `settle`d a bit.

    An import touches a customer again and again; the pause lets many of its batches share one computation. `concern`:
    what it is about, spelled, where the table has the column.
    """
    if not (ids := list(set(customers))):
        return
    bound = {"ids": array(ids), "live": live, "settle": SETTLE_SECONDS if settle else 0.0}
    if concern is None:
        await session.execute(_MARK, bound)
    else:
        await session.execute(_MARK_EACH, {**bound, "concerns": [concern] * len(ids)})
    await notify.notify(session, notify.STALE)


async def mark_each(session: WriteSession, about: Mapping[UUID, Concern], *, live: bool, settle: bool = False) -> None:
    """The same, of each customer by what is known to have changed."""
    if about:
        bound = {"ids": array(list(about)), "concerns": [spell(concern) for concern in about.values()]}
        await session.execute(_MARK_EACH, {**bound, "live": live, "settle": SETTLE_SECONDS if settle else 0.0})
        await notify.notify(session, notify.STALE)


async def mark_events(
    session: WriteSession, events: Sequence[ResolvedEvent], concerns: Mapping[int, Collection[str]] | None = None
) -> None:
    """The customers of events, as the map has them now: live ones at once, imported ones when they have settled.

    `concerns`: what the events of each via, by its integer, are about, where the table has the column.
    """
    # By the integer: hashing a UUID is slow, and every event passes here.
    live = {event.via.int: event.via for event in events if event.live}
    late = {event.via.int: event.via for event in events if not event.live}
    rest = {key: via for key, via in late.items() if key not in live}
    for vias, is_live, seconds in ((live, True, 0.0), (rest, False, SETTLE_SECONDS)):
        if vias:
            bound = {"vias": array(list(vias.values())), "live": is_live, "seconds": seconds}
            if concerns is None:
                await session.execute(_MARK_OWNERS, bound)
            else:
                about = [spell(frozenset(concerns[key])) for key in vias]
                await session.execute(_MARK_CONCERNED, {**bound, "concerns": about})
            await notify.notify(session, notify.STALE)


async def mark_changes(session: WriteSession, changes: list[MapChange], concern: str | None = None) -> None:
    """Both sides of every change of the map, and customers that appear; other new identifiers are left out.

    A customer's own row may come after facts under its other identifiers: only then can it be computed. `concern`
    (ANYTHING) is for those who appear, where the table has the column.
    """
    moved = {change.before for change in changes if change.before} | {
        change.after for change in changes if change.before
    }
    born = {change.after for change in changes if change.via == change.after} - moved
    await mark(session, moved, live=False)
    await mark(session, born, live=False, settle=True, concern=concern)


async def derive_once(session: WriteSession, derivation: Derivation) -> int:
    """Recompute a batch of stale customers, as many as its first marks name; returns how many marks were used up."""
    used, _ = await _derive(session, derivation)
    return used


async def _derive(session: WriteSession, derivation: Derivation) -> tuple[int, bool]:
    """How many marks were used up, and whether something live was among them."""
    first = claims.first(derivation.batch, derivation.live, hurried=derivation.hurried, aside=derivation.aside)
    taken = await claims.take(session, first, concerned=derivation.concerned)
    if not taken:
        return 0, False
    live: dict[UUID, bool] = {}
    for customer, is_live, *_ in taken:
        live[customer] = live.get(customer, False) or is_live
    await identity_map.lock_customers(session, live)
    present = await identity_map.customers_of(session, live)
    gone = [customer for customer in live if present.get(customer, customer) != customer]
    # Whoever marked them may have read the map before a merge, and committed after it: no other mark says as much.
    heirs: dict[UUID, bool] = {}
    for customer in gone:
        heirs[present[customer]] = heirs.get(present[customer], False) or live[customer]
    live |= {heir: live[heir] or flag for heir, flag in heirs.items() if heir in live}
    current = {customer: flag for customer, flag in live.items() if present.get(customer) == customer}
    said = _together(taken) if derivation.concerned else {}
    concerns = {customer: words for customer, words in said.items() if ANYTHING not in words and customer not in heirs}
    for customer in await claims.whole(session, concerns):
        del concerns[customer]
    await derivation.handle(session, Stale(current, gone, concerns, said))
    for is_live in (True, False):
        await mark(session, {heir for heir, flag in heirs.items() if flag is is_live} - live.keys(), live=is_live)
    derived.add(len(current))
    return len(taken), any(live.values())


def _together(taken: Iterable[Sequence[Any]]) -> dict[UUID, Concern]:
    """What all marks of a customer are about."""
    found: dict[UUID, Concern] = {}
    for customer, _, concern in taken:
        read, known = _read(concern), found.get(customer)
        found[customer] = known | read if known else read
    return found


async def rotate(session: WriteSession, *, aside: bool = False) -> None:
    """Put the first customer off for a minute: who cannot be computed must not stop the others."""
    await claims.put_off(session, claims.first(1, aside=aside))


async def loop(runtime: Runtime, derivation: Derivation) -> None:
    """Recompute for as long as the process lives; a batch that fails is narrowed down to the customer at fault."""
    size, most, hurried_until, aside = derivation.batch, derivation.live, 0.0, False
    while not runtime.stopping.is_set():
        runtime.beats["derive"] = began = asyncio.get_running_loop().time()
        try:
            async with runtime.database.write() as session:
                hurried = began < hurried_until
                part = replace(derivation, batch=size, live=most, hurried=hurried, aside=aside)
                used, live = await _derive(session, part)
        except Exception as error:
            if is_infrastructure(error):
                log.warning("derive.waiting", error=repr(error))
                await runtime.pause(1)
            elif size > 1:
                size = max(1, size // 4)
            else:
                log.exception("derive.failed")
                await _put_off(runtime, aside=aside)
            continue
        full = used >= min(size, most)
        most = min(derivation.batch, most * 2) if full else derivation.live  # whoever falls behind takes more at a time
        size, aside = min(derivation.batch, size * 2), not aside  # what fails is looked for on the same side
        hurried_until = began + HURRY_SECONDS if live else hurried_until
        if not full:
            took = asyncio.get_running_loop().time() - began
            await runtime.pause(max(PACE_SECONDS, min(LONGEST_REST_SECONDS, derivation.rest * took)))
        if used == 0:
            await notify.wait(runtime, notify.STALE, await _sleep(runtime))


async def _put_off(runtime: Runtime, *, aside: bool) -> None:
    try:
        async with runtime.database.write() as session:
            await rotate(session, aside=aside)
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
