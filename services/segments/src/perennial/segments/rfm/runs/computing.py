"""One run, from facts to the switch: readers see the run before, whole, until this one is.

Whoever is derived meanwhile is noted (`rfm_touched`, see `standings`) and computed again before the switch, which
alone waits for derivations in flight. A process that dies leaves the run `computing`: the next one begins it anew.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, cast
from uuid import UUID

import structlog
from sqlalchemy import Row

from perennial.common.db import Database, WriteSession, lock, settings_of, try_lock
from perennial.common.derive import mark, spell
from perennial.common.failures import is_infrastructure
from perennial.common.timers import cancel
from perennial.segments.facts.concerns import ORDERS
from perennial.segments.rfm.clusters import service as clusters
from perennial.segments.rfm.runs import building, queries
from perennial.segments.rfm.runs.service import SCORE, SETTLE, want_daily
from perennial.segments.rfm.settings import service as settings
from perennial.segments.rfm.settings.schemas import Bands, SettingsOut
from perennial.segments.rfm.standings.queries import GATE
from perennial.segments.settings import SegmentsSettings

log = structlog.get_logger()

CENT = Decimal("0.01")
CLUSTERING = frozenset({"asked", "settings"})  # somebody wants them found anew, however old they are
DERIVED_SECONDS = 0.0005  # of a core, for each customer whose labels are others: what follows a run is its work, too
MOST_SECONDS = 60.0  # of these: a currency without thresholds does not wait for hours
MOST_CLUSTERED = 20  # currencies: clients make them up
NOT_CLUSTERED = "only the twenty currencies with the most customers are clustered"


async def compute_next(database: Database) -> bool:
    """Compute the run that waits, if there is one that nobody else computes; whether it was done."""
    async with database.write() as session:
        run = await _begin(session)
    if run is None:
        return False
    began = time.monotonic()
    try:
        async with database.write() as session:
            if not await try_lock(session, "segments", "rfm", "run") or not (
                cause := await queries.cause_of(session, run)
            ):
                return False
            changed = await _compute(session, run, cause)
            await queries.took(session, run, time.monotonic() - began + min(MOST_SECONDS, changed * DERIVED_SECONDS))
    except Exception as error:
        if is_infrastructure(error):
            raise
        log.exception("rfm.failed", run_id=str(run))
        await _fail(database, run, error, time.monotonic() - began)
    await _tidy(database)
    return True


async def _begin(session: WriteSession) -> UUID | None:
    """The run to compute. From this commit on every derivation notes whom it touched, and none is in flight."""
    found = await queries.next_run(session)
    if found is None:
        return None
    if found.state == "wanted":
        await lock(session, *GATE)
        await queries.begin(session, found.id)
    run: UUID = found.id
    return run


async def _compute(session: WriteSession, run: UUID, cause: str) -> int:
    """Everything of one run, in one transaction; returns how many customers are derived again because of it."""
    chosen, currency = await settings.current(session), settings_of(session).currency
    as_of = datetime.now(UTC)
    rows = await freeze(session, run, chosen, as_of)
    before = await queries.serving(session)
    if before is not None and cause not in CLUSTERING:
        since = as_of - timedelta(hours=cast("SegmentsSettings", settings_of(session)).rfm_cluster_hours)
        await building.keep_clusters(session, run, before.id, since)
    await _cluster(session, run)
    await building.stand(session, run, rows)
    await building.report(session, run)
    changed = await building.mark_different(session, run, before, currency)
    touched = await building.catch_up(session, run, currency)
    await lock(session, *GATE)
    touched += await building.catch_up(session, run, currency)
    await building.switch(session, run, as_of, chosen.version, currency)
    await mark(session, touched, live=False, concern=spell(ORDERS))
    await cancel(session, SCORE, [SETTLE])
    await want_daily(session)
    log.info("rfm.computed", run_id=str(run), standings=rows, changed=changed, caught_up=len(touched))
    return changed + len(touched)


async def freeze(session: WriteSession, run: UUID, chosen: SettingsOut, as_of: datetime) -> int:
    """Read what everybody has ordered, and keep the thresholds of each currency; returns the number of standings."""
    deployment = settings_of(session)
    rows = await building.gather(session, deployment.currency)
    models = [_model(row, run, as_of, chosen, deployment.zone) for row in await building.cuts(session)]
    await building.add_models(session, models, average=chosen.high_from is None)
    return rows


def _model(row: Row[Any], run: UUID, as_of: datetime, chosen: SettingsOut, zone: tzinfo) -> Mapping[str, Any]:
    """The thresholds of one currency: its fixed bands, or its quantiles."""
    bands = chosen.bands.get(row.currency)
    average = (row.monetary / row.customers).quantize(CENT, ROUND_HALF_EVEN)
    return {
        "run": run,
        "currency": row.currency,
        "customers": row.customers,
        "orders": row.orders,
        "monetary": row.monetary,
        "reached": bands is not None,
        **(_fixed(bands, as_of, zone) if bands else _quantiles(row)),
        "high": [chosen.high_from or 5] * 3,
        "value": chosen.high_value.get(row.currency, average),
        "active_since": _days_ago(chosen.active_days, as_of, zone),
        "as_of": as_of,
    }


def _quantiles(row: Row[Any]) -> Mapping[str, Any]:
    return {"recency": row.recency, "frequency": row.frequency, "monetary_cuts": row.monetary_cuts}


def _fixed(bands: Bands, as_of: datetime, zone: tzinfo) -> Mapping[str, Any]:
    recency = [_days_ago(days, as_of, zone) for days in bands.recency_days]
    return {"recency": recency, "frequency": bands.frequency, "monetary_cuts": bands.monetary}


def _days_ago(days: int, as_of: datetime, zone: tzinfo) -> datetime:
    """When the calendar day began that lies so many days before."""
    day = as_of.astimezone(zone).date() - timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


async def _cluster(session: WriteSession, run: UUID) -> None:
    """Five groups in each currency that has enough customers, the largest currencies first."""
    scales = await building.scales(session, run)
    for place, model in enumerate(await queries.models(session, run)):
        currency = model.currency
        if currency not in scales:
            continue
        found = None
        if place < MOST_CLUSTERED and model.customers >= len(clusters.RULE):
            found = await clusters.find(await building.points(session, run, currency))
        if found is None:
            reason = {"reason": clusters.TOO_FEW if place < MOST_CLUSTERED else NOT_CLUSTERED}
            await building.freeze_clusters(session, run, currency, None, None, json.dumps(reason))
            continue
        centers = [coordinate for cluster in found for coordinate in cluster.center]
        told = {"centroids": clusters.explain(found, scales[currency])}
        names = [cluster.name for cluster in found]
        await building.freeze_clusters(session, run, currency, centers, names, json.dumps(told))


async def _fail(database: Database, run: UUID, error: Exception, seconds: float) -> None:
    async with database.write() as session:
        await queries.fail(session, run, type(error).__name__)
        await queries.took(session, run, seconds)
        await want_daily(session)


async def _tidy(database: Database) -> None:
    """Drop what is history no longer, in small transactions."""
    async with database.read() as session:
        keep, zone = (await settings.current(session)).keep_runs, settings_of(session).timezone
        runs = await queries.superseded(session, keep, zone)
    for run in runs:
        done = False
        while not done:
            async with database.write() as session:
                done = await queries.drop_part(session, run)
