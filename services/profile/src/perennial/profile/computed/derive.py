"""What customers are shown: the partials of their identifiers and their orders, merged and evaluated."""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from perennial.common import commerce
from perennial.common.contracts.profile import ComputedTraits, ComputedTraitsChanged
from perennial.common.db import ReadSession, WriteSession, settings_of
from perennial.common.derive import mark
from perennial.common.outbox import emit
from perennial.common.settings import CommonSettings
from perennial.common.timers import Timer
from perennial.profile.computed import bought as orders
from perennial.profile.computed import definitions, discounts, queries
from perennial.profile.computed.queries import Merged
from perennial.profile.computed.spec import UNITS, Spec, feed_of
from perennial.profile.computed.values import Value, evaluate
from perennial.profile.computed.windows import Window, exactly, window
from perennial.profile.rows import clock
from perennial.profile.rows.concerns import Done
from perennial.profile.rows.drafts import Draft

CHANGING = timedelta(minutes=10)  # at most, of the transaction that changes definitions, and of differing clocks
OF_ORDERS = commerce.ORDER_EVENTS | discounts.NAMES
PER_FACT = 1000


@dataclass(frozen=True, slots=True)
class Served:
    """A definition that customers are shown; `feed` is None when it is computed from orders."""

    key: str
    version: int
    spec: Spec
    feed: int | None

    def looks_at(self, done: Done) -> bool:
        """Whether these events may change it."""
        if self.feed is None:
            return not OF_ORDERS.isdisjoint(done.names)
        return not done.names.isdisjoint(self.spec.events) or not done.types.isdisjoint(self.spec.types)

    def window(self, settings: CommonSettings, now: datetime) -> Window:
        """What counts now."""
        zone = ZoneInfo(self.spec.timezone) if self.spec.timezone else settings.zone
        if self.feed is None:
            unit = self.spec.window if self.spec.window in UNITS else None
            return exactly(self.spec.span, unit, zone, now)
        return window(feed_of(self.spec).by, self.spec.span, zone, now)


async def served(session: ReadSession) -> list[Served]:
    """The definitions that customers are shown, by key."""
    rows = await definitions.served(session)
    return [Served(row.key, row.version, _spec(row.served), row.served_feed) for row in rows]


@functools.lru_cache(maxsize=1000)
def _spec(document: str) -> Spec:
    return Spec.model_validate_json(document)


async def derive(session: WriteSession, drafts: Mapping[UUID, Draft], now: datetime) -> None:
    """Fill `computed` of each draft, and when the clock changes it, and say what has changed.

    What looks at none of a customer's new events stands.
    """
    wanted, changed_at = await served(session), await definitions.changed_at(session)
    # Who appears while definitions are being changed, and is derived by those of before, is in nobody's marks.
    since = changed_at and changed_at + CHANGING
    whole: dict[UUID, Draft] = {}
    for customer, draft in drafts.items():
        before = draft.before or {}
        stands = since is None or (before.get("as_of") is not None and before["as_of"] > since)
        if draft.about is not None and stands and not any(item.looks_at(draft.about) for item in wanted):
            draft.computed = dict(before["computed"])
        else:
            draft.about, whole[customer] = None, draft  # what reads the values of these is asked, too
    if not whole:
        return
    found = await values(session, wanted, whole, now)
    for customer, draft in whole.items():
        shown = found[customer]
        draft.computed = {item.key: shown[item.key].value for item in wanted if shown[item.key].value is not None}
        draft.falls_due(clock.COMPUTED, min((value.changes for value in shown.values() if value.changes), default=None))
    await _say(session, whole.values())


async def strike(session: WriteSession, timers: list[Timer]) -> None:
    """The clock has come to where a value may change: derive those customers."""
    await mark(session, {UUID(timer.key) for timer in timers}, live=True)


async def values(
    session: ReadSession, wanted: Sequence[Served], customers: Collection[UUID], now: datetime
) -> dict[UUID, dict[str, Value]]:
    """By customer and key, what is shown at an instant."""
    settings = settings_of(session)
    windows = {item.key: item.window(settings, now) for item in wanted}
    counted = [item for item in wanted if item.feed is not None]
    ordered = [item for item in wanted if item.feed is None]
    asked = [(item.feed, windows[item.key]) for item in counted if item.feed is not None]
    kept = await queries.merged(session, customers, asked, values=any(item.spec.keeps == "values" for item in counted))
    said = [(item.spec, windows[item.key]) for item in ordered]
    bought = await orders.merged(session, said, customers, settings.zone, settings.currency)
    shown: dict[UUID, dict[str, Value]] = {}
    for customer in customers:
        shown[customer] = mine = {}
        for place, item in enumerate(counted):
            merged = kept.get((customer, place)) or Merged({})
            mine[item.key] = _value(item, merged, windows[item.key], now, settings)
        for item, merged in zip(ordered, bought[customer], strict=True):
            mine[item.key] = _value(item, merged, windows[item.key], now, settings)
    return shown


def _value(item: Served, merged: Merged, covers: Window, now: datetime, settings: CommonSettings) -> Value:
    value = evaluate(item.spec, merged.words, now, settings.currency)
    if covers.leaves is None and value.changes is None:
        return value
    leaves = covers.leaves(merged.begins) if covers.leaves and merged.begins else None
    changes = min((at for at in (value.changes, leaves, merged.comes) if at and at > now), default=None)
    return Value(value.value, value.currency, value.by_currency, value.complete, changes)


async def _say(session: WriteSession, drafts: Collection[Draft]) -> None:
    """Of each customer the values that differ from what was written before; null where there is none any more."""
    changed: dict[UUID, dict[str, object]] = {}
    live = {draft.id for draft in drafts if draft.live}
    for draft in drafts:
        before = (draft.before or {}).get("computed") or {}
        news = {key: value for key, value in draft.computed.items() if before.get(key) != value}
        news |= dict.fromkeys(before.keys() - draft.computed.keys())
        if news:
            changed[draft.id] = news
    if not changed:
        return
    version = await queries.next_version(session)
    items = [
        ComputedTraits(customer=customer, traits=news, version=version, live=customer in live)
        for customer, news in changed.items()
    ]
    parts = [items[start : start + PER_FACT] for start in range(0, len(items), PER_FACT)]
    await emit(session, *(ComputedTraitsChanged(customers=part) for part in parts))
