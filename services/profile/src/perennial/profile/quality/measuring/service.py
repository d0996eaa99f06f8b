"""Measure: baselines, one row for each day, source and trait, a score, and which limits were crossed.

Each step is a transaction that may be repeated: a day's rows are written anew, and a limit is crossed in the
transaction that says so.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from perennial.common.contracts.profile import QualityThresholdCrossed
from perennial.common.db import ReadSession, WriteSession, lock
from perennial.common.outbox import emit
from perennial.profile.quality.findings import queries as statements
from perennial.profile.quality.findings import records
from perennial.profile.quality.findings.records import NOBODY
from perennial.profile.quality.measuring import queries, scores, usual
from perennial.profile.quality.measuring.scores import Intake
from perennial.profile.quality.measuring.thresholds import Limit, judged, measured
from perennial.profile.quality.rules import queries as rules
from perennial.profile.quality.rules.guards import digest
from perennial.profile.quality.rules.scales import Scale
from perennial.profile.traits import sealing
from perennial.profile.traits.definitions import schema
from perennial.profile.traits.queries import Said

MOST_CUSTOMERS, MOST_VALUES, AT_ONCE, MOST_ALIKE = 100_000, 1_000_000, 500, 1_000
FACTORS = {"iqr": 1.5, "mad": 3.5}
MIN_VALUES = 30
_NORMAL = Decimal("1.4826")  # of the median absolute deviation to the standard deviation


async def fill(session: WriteSession) -> bool:
    """Index the values of some identifiers for a rule on duplicates that is new; whether there is more to do."""
    waiting = [row for row in await rules.every(session) if row["definition"]["kind"] == "duplicate"]
    rule = next((row for row in waiting if not row["ready"]), None)
    if rule is None:
        return False
    key = rule["definition"]["key"]
    sealer = await sealing.sealer(session)
    await lock(session, "profile", "quality", key)
    vias = await statements.vias(session, rule["filled"] or NOBODY, AT_ONCE)
    said = [_said(sealer, row) for row in await queries.unindexed(session, vias, key)]
    await records.index(session, [(one, digest(session, key, one.value or "null")) for one in said])
    ready = len(vias) < AT_ONCE
    await queries.mark(session, rule["id"], vias[-1] if vias else rule["filled"], ready=ready)
    if ready:
        await rules.turn(session)
    return True


def _said(sealer: sealing.Sealer, row: Any) -> Said:
    value = row.value
    if sealing.SEALED in value and sealing.is_sealed(held := json.loads(value)):
        value = sealing.said_in(sealer.vault, row.key, held)
    return Said(row.via, row.key, value, (row.at, row.source, row.message_id), live=False)


async def on_outliers(session: ReadSession) -> list[dict[str, Any]]:
    """The rules that need to know what is usual."""
    return [row for row in await rules.every(session) if row["definition"]["kind"] == "outlier"]


async def take_baseline(session: WriteSession, row: Mapping[str, Any], now: datetime) -> None:
    """See anew what is usual, for a rule on outliers; for nothing when it was changed meanwhile."""
    said, how = row["definition"], await queries.sample(session, "trait", MOST_VALUES)
    scale = await _scale(session, said, how)
    found = await usual.distribution(session, row["id"], said["key"], said.get("source"), how, scale)
    method = said.get("method") or "iqr"
    limits = bounds(method, Decimal(str(said.get("factor") or FACTORS[method])), found)
    if limits is None or found.number < (said.get("min_values") or MIN_VALUES):
        await usual.drop_baseline(session, row["id"])
        await rules.turn(session)
        return
    low, high = scale.bounds(*limits[:2])
    values = {
        "low": low, "high": high, "centre": found.centre, "spread": limits[2], "count": found.number,
        "scale": scale.kind, "unit": scale.unit,
    }  # fmt: skip
    whose = {"rule": row["id"], "version": row["version"]}
    await usual.keep_baseline(session, {**values, **whose, "sampled": how.sampled, "at": now})
    await rules.turn(session)


async def _scale(session: ReadSession, said: Mapping[str, Any], how: queries.Sample) -> Scale:
    definition = (await schema.in_force(session)).definitions.get(said["key"])
    scale = Scale.of(definition)
    if scale.kind != "money" or scale.unit is not None:
        return scale
    return Scale.of(definition, await usual.currency(session, said["key"], said.get("source"), how) or "XXX")


def bounds(method: str, factor: Decimal, found: Any) -> tuple[Decimal, Decimal, Decimal] | None:
    """(low, high, spread); None where all values are alike, so that none is unusual by the distance."""
    if not found.number:
        return None
    if method == "mad":
        spread = found.deviation
        low, high = found.centre - factor * _NORMAL * spread, found.centre + factor * _NORMAL * spread
    else:
        spread = found.upper - found.lower
        low, high = found.lower - factor * spread, found.upper + factor * spread
    return (low, high, spread) if spread > 0 else None


async def measure(session: WriteSession, now: datetime) -> None:
    """Write the day's rows of all traits and sources, and say which limits were crossed since the last time."""
    await lock(session, "profile", "quality", "measure")
    settings = await settings_of(session)
    how = await queries.sample(session, "customer", MOST_CUSTOMERS)
    in_force = await rules.every(session)
    said = [(row["id"], row["definition"]) for row in in_force]
    required = [{"key": one["key"], "source": one.get("source")} for _, one in said if one["kind"] == "missing"]
    known = await schema.in_force(session)
    required += [{"key": key, "source": None} for key, found in sorted(known.own.items()) if found.required]
    unique = sorted({one["key"] for _, one in said if one["kind"] == "duplicate"})
    await queries.measure_traits(session, how, now, timedelta(days=settings["stale_after_days"]), required, unique)
    for rule, one in said:
        if one["kind"] == "duplicate":
            await queries.note_alike(session, rule, one["key"], one.get("source"), now, MOST_ALIKE)
    traits = await queries.traits(session, now.date())
    sources = await _sources(session, traits, now, settings["late_after"])
    rows = [{"source": source, "measures": row} for source, row in sorted(sources.items())]
    await queries.write_sources(session, rows, now, sampled=how.sampled)
    limits = [Limit.of(rule, one) for rule, one in said if one["kind"] in {"missing", "threshold"}]
    missing = {rule for rule, one in said if one["kind"] == "missing"}
    await _cross(session, limits, measured(traits, sources), missing, now)
    await queries.forget(session, now)


async def settings_of(session: ReadSession) -> dict[str, Any]:
    """The settings in force."""
    _, body = await rules.settings(session)
    return {"stale_after_days": 365, "late_after": "1d", **body}


async def _sources(
    session: WriteSession, traits: Sequence[Mapping[str, Any]], now: datetime, late_after: str
) -> dict[str, dict[str, Any]]:
    intakes: dict[str, Intake] = defaultdict(Intake)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for row in await queries.intake(session, today):
        intakes[row.source].week[row.outcome] = int(row.week)
        intakes[row.source].today[row.outcome] = int(row.today)
    for row in await queries.gauges(session):
        intakes[row.source].waiting[row.name] = int(row.value)
    by_source: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for found in traits:
        by_source[found["source"]].append(found)
    customers = await queries.customers(session, now.date())
    return {
        source: _source(by_source[source], intakes[source], customers.get(source), late_after)
        for source in sorted({*by_source, *intakes})
    }


def _source(
    rows: Sequence[Mapping[str, Any]], intake: Intake, customers: int | None, late_after: str
) -> dict[str, Any]:
    parts = scores.components(rows, intake, late_after)
    waiting = {name: intake.waiting.get(name, 0) for name in scores.WAITING}
    return {
        "customers": customers,
        "score": scores.score(parts),
        "components": parts,
        "events": intake.today,
        "shares": scores.intake_shares(intake.week, late_after),
        "waiting": waiting,
        "shared_identifiers": intake.waiting.get("shared", 0),
    }


async def _cross(
    session: WriteSession, limits: Sequence[Limit], values: Mapping[tuple[str, str, str], float],
    missing: set[Any], now: datetime,
) -> None:  # fmt: skip
    if not limits:
        return
    before = await queries.crossings(session, [limit.rule for limit in limits])
    rows, facts = [], []
    for limit, source, key, value, crossed, changed in judged(limits, values, before):
        rows.append({"rule": limit.rule, "source": source, "key": key, "crossed": crossed, "value": value})
        if changed:
            fact = QualityThresholdCrossed(
                rule=limit.rule, measure=limit.measure, source=source, trait=key or None, value=value,
                limit=limit.limit, crossed=crossed,
            )  # fmt: skip
            facts.append(fact)
    await queries.cross(session, rows, now)
    await queries.note_missing(session, [row for row in rows if row["rule"] in missing], now)
    await emit(session, *facts)
