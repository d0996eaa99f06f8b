"""A batch of customers: what is known of them before they are asked, their facts, read part by part, and the asking."""

import asyncio
import functools
import itertools
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from opentelemetry import metrics
from opentelemetry.metrics import Observation

from perennial.common.beside import beside
from perennial.common.db import WriteSession
from perennial.common.db.sessions import ASIDE
from perennial.common.rules import View
from perennial.common.rules.facts.views import load_each
from perennial.segments.definitions import queries as definitions
from perennial.segments.memberships import known
from perennial.segments.memberships.asking import Asked, Customer
from perennial.segments.memberships.serving import Plan, Segment, Serving

log = structlog.get_logger()
_spent: dict[UUID, float] = {}
metrics.get_meter("perennial").create_observable_counter(
    "perennial.segments.spent",
    callbacks=[lambda _: [Observation(at, {"segment": str(key)}) for key, at in list(_spent.items())]],
    unit="s",
    description="CPU seconds of rules, by segment.",
)

FLIP = "flip"
JUST_BEFORE = timedelta(microseconds=1)
PART = 500  # customers whose facts are read at a time
SHARE_SECONDS = 0.005  # of the loop, at a time
SLOW_SECONDS = 20.0  # of CPU, for one rule and one batch of customers: a hundred rules take a tenth of one

Slow = tuple[Segment, float, int]  # the seconds that it took to ask so many customers


class Known(NamedTuple):
    """Of whom to ask what, before their facts are read: for which moment, and where they are members."""

    customer: UUID
    plan: Plan
    places: int
    timer: datetime | None
    moment: datetime


async def known_of(
    session: WriteSession,
    serving: Serving,
    concerned: list[UUID],
    plans: Mapping[UUID, Plan],
    known_by: Mapping[UUID, datetime],
    now: datetime,
) -> list[Known]:
    """The customers to ask, and for which moment: now, or just before a timer of theirs that should have fired.

    Such a timer waits for what the pipeline still holds: else somebody would leave whom a waiting purchase keeps. So
    does one of whoever was merged into them, and one that has fired says nothing of what came after it (`known_by`).
    """
    before = await known.places(session, concerned, serving.spelled, len(serving.segments))
    narrowed = [
        (customer, plan, places)
        for customer, places in zip(concerned, before, strict=True)
        if (plan := serving.narrow(plans[customer], places)).places or plan.all
    ]
    timers = await known.timers(session, FLIP, [customer for customer, _, _ in narrowed])
    return [
        Known(
            customer, plan, places, timer,
            min(known_by.get(customer, now), timer - JUST_BEFORE if timer and timer <= now else now),
        )
        for timer, (customer, plan, places) in zip(timers, narrowed, strict=True)
    ]  # fmt: skip


async def ask(
    session: WriteSession, serving: Serving, customers: Sequence[Known], listed: Mapping[UUID, AbstractSet[UUID]],
    now: datetime,
) -> list[Asked]:  # fmt: skip
    """Part by part: while one is asked, the database reads the facts of the next."""
    oldest = min(
        [now, *(one.timer - JUST_BEFORE for one in customers if one.timer), *(one.moment for one in customers)]
    )
    parts = [customers[start : start + PART] for start in range(0, len(customers), PART)]
    asked: list[Asked] = []
    slow: list[Slow] = []

    async def load(part: Sequence[Known]) -> list[View]:
        return await load_each(session, [(one.customer, one.plan.reads) for one in part], oldest)

    async def ask_part(part: Sequence[Known], views: Sequence[View]) -> None:
        found: dict[datetime, list[Customer]] = {}
        for one, view in zip(part, views, strict=True):
            found.setdefault(one.moment, []).append(Customer(view, one.plan, one.places, one.timer))
        for moment, alike in found.items():
            asked.append(Asked(serving, alike, moment))
            slow.extend(await _ask(serving, asked[-1], listed))

    views = await load(parts[0]) if parts else []
    for part, following in itertools.pairwise(parts):
        views, _ = await beside(load(following), functools.partial(ask_part, part, views))
    if parts:
        await ask_part(parts[-1], views)
    for segment, seconds, count in slow:
        await _suspend(session, segment, seconds, count)
    return asked


async def _ask(serving: Serving, asked: Asked, listed: Mapping[UUID, AbstractSet[UUID]]) -> list[Slow]:
    """Ask each of the customers; returns whose rules took too long."""
    rested, slow = time.thread_time(), list[Slow]()
    for place, customers in sorted(asked.asked.items()):
        segment, began = serving.segments[place], time.thread_time()
        asked.ask(place, segment, listed)
        ended = time.thread_time()
        _spent[segment.id] = _spent.get(segment.id, 0.0) + ended - began
        if ended - began > SLOW_SECONDS:
            slow.append((segment, ended - began, len(customers)))
        if ended - rested > SHARE_SECONDS:
            await asyncio.sleep(0)  # heartbeats go on
            rested = ended
    return slow


async def _suspend(session: WriteSession, segment: Segment, seconds: float, customers: int) -> None:
    """A rule that holds up all the others serves no longer: its owner is told, the others go on."""
    if not session.info.get(ASIDE):
        log.error("segment.suspended", segment_id=str(segment.id), seconds=seconds, customers=customers)
        said = f"too slow to be kept up: {seconds:.0f} s of computing for {customers} customers"
        await definitions.suspend(session, segment.id, said)
