"""The verb that keeps standings and the trait `rfm` in step with the facts of the customers in hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import WriteSession, settings_of
from perennial.common.derive import Stale
from perennial.common.rules.evaluation.footprint import Footprint
from perennial.common.rules.facts import TraitFact, load_views, record_traits
from perennial.segments.facts.concerns import ORDERS, of_trait
from perennial.segments.rfm.runs.service import CHANGE, FEW, GROWTH, NEW, outgrown, want_settled, want_soon
from perennial.segments.rfm.standings import queries

TRAIT = "rfm"
SOURCE = "perennial"
# Of the run that serves, in a currency, since it began to count: how many must have moved before somebody counts again.
_counted: dict[tuple[UUID, str, int], int] = {}
_READS = Footprint(frozenset({TRAIT}), frozenset(), frozenset(), timedelta())


async def follow(session: WriteSession, stale: Stale) -> Stale:
    """Compute where these customers stand by the thresholds of the run that serves.

    Called with the customers locked, before rules are asked about them: rules read the trait `rfm`, and who has
    another now is asked for that, too. Where orders have nothing to do with what has changed, the standing stays.
    """
    now = await queries.state(session)
    buyers = [customer for customer in stale.live if stale.concerns.get(customer, ORDERS) >= ORDERS]
    if not buyers and not stale.gone:
        return stale
    if now.computing:
        await queries.touch(session, [*buyers, *stale.gone])
    settings = settings_of(session)
    done = await queries.move(session, now.id, buyers, stale.gone, settings.currency)
    told: set[UUID] = set()
    if done.buyers or done.moved:
        rows = await queries.of_customers(session, buyers, settings.currency, settings.timezone)
        told = await _tell(session, {customer: rows.get(customer) for customer in buyers})
    if not now.wanted:
        await _want(session, now, done)
    others = {customer: stale.concerns[customer] | {of_trait(TRAIT)} for customer in told & stale.concerns.keys()}
    return replace(stale, concerns={**stale.concerns, **others})


async def _want(session: WriteSession, now: Row[Any], done: Row[Any]) -> None:
    """A run where customers have no thresholds to be scored by, or where the thresholds are of too long ago."""
    if now.id is None:
        if done.buyers and not now.computing and now.soon is None:
            await want_soon(session, NEW)
    elif done.strange:
        if now.soon not in {NEW, GROWTH}:
            await want_soon(session, NEW)
    elif done.moved and not now.computing:
        await _want_again(session, now, now.version - now.base + done.moved)


async def _want_again(session: WriteSession, now: Row[Any], moved: int) -> None:
    if now.soon != GROWTH and now.customers <= min(FEW, moved) and await _has_doubled(session, now, moved):
        await want_soon(session, GROWTH)
        return
    if now.soon is None:
        if outgrown(now.customers, moved):
            await want_soon(session, CHANGE)
        elif now.customers <= FEW and not now.settling:
            await want_settled(session)


async def _has_doubled(session: WriteSession, now: Row[Any], moved: int) -> bool:
    """Whether as many customers have come since a run as it had.

    Whoever comes moves a standing: until half of those who lack have moved since they were last counted, nobody counts
    again. What moved is told by a sequence, which knows of transactions that are not over, or were undone.
    """
    enough: int = max(1, now.customers)
    currency: str = settings_of(session).currency
    run = (now.id, currency, now.base)
    if moved < _counted.get(run, 0):
        return False
    come = await queries.come(session, now.id, currency, enough)
    _counted.clear()
    _counted[run] = moved + max(1, (enough - come) // 2)
    return come >= enough


async def _tell(session: WriteSession, rows: Mapping[UUID, Row[Any] | None]) -> set[UUID]:
    """Let rules know, as a trait of the customer's own identifier; returns of whom something has changed."""
    at: datetime = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    views = await load_views(session, list(rows), _READS, at)
    wanted = {customer: row and labels(row) for customer, row in rows.items()}
    changed = {key: value for key, value in wanted.items() if views[key].traits.get(TRAIT) != value}
    if changed:
        facts = [TraitFact(key, TRAIT, value, at, SOURCE, str(at)) for key, value in changed.items()]
        await record_traits(session, facts)
    return set(changed)


def labels(row: Row[Any]) -> dict[str, Any]:
    """A standing as rules read it: `rfm.group`, `rfm.r` …; without a cluster where nobody is clustered."""
    said = {key: row._mapping[key] for key in ("r", "f", "m", "group", "class", "quadrant", "cluster")}  # noqa: SLF001 (public API)
    return {key: value for key, value in said.items() if value is not None}
