"""The verbs of reports: make them, read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from perennial.common.contracts.base import utc_now
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.operations import Step
from perennial.loyalty.programme import service as programme
from perennial.loyalty.reports import queries
from perennial.loyalty.reports.catalogue import REPORTS, Report

log = structlog.get_logger()

KIND = "reports"
YEAR, ACTIVE = timedelta(days=365), timedelta(days=90)
SETTLED = timedelta(days=1)
"""A posting is dated by the beginning of its transaction: it may appear so long after the end of its month."""
BEGINNING = "1971-01"


@dataclass(frozen=True)
class Made:
    """A report, and what it said when it was last made; None before the first time."""

    name: str
    report: Report
    as_of: datetime | None
    rows: Sequence[Mapping[str, Any]]


async def make(session: WriteSession, name: str, now: datetime) -> None:
    """Add a report up and keep it."""
    rules, settings = await programme.current(session), settings_of(session)
    old = await queries.stored(session, name) if name == "months" else None
    since = (old.as_of - SETTLED).astimezone(settings.zone).strftime("%Y-%m") if old else BEGINNING
    asked = {
        "now": now, "year": now - YEAR, "active": now - ACTIVE, "zone": settings.timezone,
        "currency": rules.main.code, "tiers": [tier.name for tier in rules.tiers],
        "since": datetime.strptime(since, "%Y-%m").replace(tzinfo=settings.zone),
    }  # fmt: skip
    rows = await queries.figures(session, name, asked)
    over = [row for row in old.rows if row["month"] < since] if old else []
    await queries.store(session, name, now, [*over, *rows])
    log.info("report.made", report=name, rows=len(rows))


async def refresh(step: Step) -> Mapping[str, Any] | None:
    """Make one report for each step."""
    names = list(REPORTS)
    step.total = len(names)
    if step.done < len(names):
        await make(step.session, names[step.done], utc_now())
        step.done += 1
    return {"reports": step.done} if step.done == len(names) else None


async def read(session: ReadSession, name: str) -> Made:
    """A report as it was last made."""
    row = await queries.stored(session, name)
    return Made(name, REPORTS[name], row.as_of if row else None, row.rows if row else [])


def chosen(
    rows: Sequence[Mapping[str, Any]], currency: str | None, since: str | None, until: str | None
) -> list[Mapping[str, Any]]:
    """Rows of a currency and of some months, where a report has those; what is of no month is always there."""
    return [
        row
        for row in rows
        if (currency is None or row.get("currency", currency) == currency)
        and _within(str(row.get("month", row.get("cohort", ""))), since, until)
    ]


def _within(month: str, since: str | None, until: str | None) -> bool:
    if not month[:1].isdigit():
        return True
    return (since is None or month >= since) and (until is None or month <= until)
