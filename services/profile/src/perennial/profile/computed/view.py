"""What is shown of computed traits: definitions, a customer's values now, and what they are made of."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from perennial.common import masks
from perennial.common.auth import Principal
from perennial.common.db import ReadSession, settings_of
from perennial.common.rules.values.paths import parse_path
from perennial.profile.computed import bought, definitions, queries
from perennial.profile.computed.checks import sensitivity_of
from perennial.profile.computed.derive import Served, served, values
from perennial.profile.computed.schemas import (
    ComputedExplained,
    ComputedOut,
    ComputedValue,
    Labels,
    Ordered,
    Part,
)
from perennial.profile.computed.spec import Spec
from perennial.profile.computed.values import Value
from perennial.profile.computed.windows import BEGINNING, EVER

MOST_PARTS = 500


def out(row: Row[Any], who: Principal) -> ComputedOut:
    """A definition as a principal may see it."""
    building = row.state == "building" and row.backfilled is not None
    return ComputedOut(
        key=row.key,
        label=Labels.model_validate(row.labels),
        definition=masks.shown_conditions(who, Spec.model_validate(row.spec).document()),
        state=row.state,
        backfilled=f"{row.backfilled:%Y-%m}" if building else None,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ready_at=row.ready_at,
    )


def masked(who: Principal, item: Served, value: Any) -> Any:
    """A value as a principal may see it. Figures are public; what was read from events is personal until declared."""
    if value is None or masks.sees_all(who):
        return value
    spec = item.spec
    sensitivity = sensitivity_of(spec)
    if sensitivity == "public":
        return masks.held(who, _leaf(spec), value, bare=False) if isinstance(value, str | list | dict) else value
    if who.fields.isdisjoint({sensitivity, item.key}):
        return masks.HIDDEN
    return masks.held(who, _leaf(spec), value)


def _leaf(spec: Spec) -> str:
    names = [step.name for step in parse_path(spec.property or "value") if step.name]
    return names[-1].removeprefix("$") if names else "value"


async def of_customer(session: ReadSession, who: Principal, customer: UUID) -> list[ComputedValue]:
    """Every computed trait of a customer of today, as of now."""
    now = datetime.now(UTC)
    wanted = await served(session)
    found = (await values(session, wanted, [customer], now))[customer]
    labels = {row.key: row.labels for row in await definitions.page(session, "", len(wanted) + 1000)}
    return [
        ComputedValue(**_fields(session, who, item, found[item.key], now), label=labels[item.key])
        for item in wanted
        if item.key in labels  # archived a moment ago
    ]


async def explain(session: ReadSession, who: Principal, customer: UUID, row: Row[Any]) -> ComputedExplained:
    """One of them with what it is made of; values of events that are masked for who asks are left out."""
    now = datetime.now(UTC)
    item = next((item for item in await served(session) if item.key == row.key), None)
    if item is None:
        item = Served(row.key, row.version, Spec.model_validate(row.spec), row.feed)
        value = Value(None)
    else:
        value = (await values(session, [item], [customer], now))[customer][item.key]
    return ComputedExplained(
        **_fields(session, who, item, value, now),
        label=row.labels,
        definition=masks.shown_conditions(who, item.spec.document()),
        parts=await _parts(session, who, customer, item, now),
        orders=await _ordered(session, customer, item, now),
    )


def _fields(session: ReadSession, who: Principal, item: Served, value: Value, now: datetime) -> dict[str, Any]:
    covers = item.window(settings_of(session), now)
    limited = item.spec.window is not None
    return {
        "key": item.key,
        "function": item.spec.function,
        "value": masked(who, item, value.value),
        "currency": value.currency,
        "by_currency": value.by_currency
        and {code: masked(who, item, said) for code, said in value.by_currency.items()},
        "complete": value.complete,
        "since": covers.since if limited and covers.since > BEGINNING else None,
        "until": now if limited else None,
        "next_change": value.changes,
        "as_of": now,
        "version": item.version,
    }


async def _parts(session: ReadSession, who: Principal, customer: UUID, item: Served, now: datetime) -> list[Part]:
    if item.feed is None:
        return []
    covers = item.window(settings_of(session), now)
    rows = await queries.parts(session, customer, item.feed, covers, MOST_PARTS)
    return [_part(who, item, row) for row in rows]


def _part(who: Principal, item: Served, row: Row[Any]) -> Part:
    named = item.spec.money or item.spec.function == "share"
    numbers = {name: getattr(row, name) for name in ("total", "low", "high")}
    if masked(who, item, 0) != 0:
        numbers = dict.fromkeys(numbers)
    return Part(
        via=row.via,
        bucket=None if row.bucket == EVER else row.bucket,
        word=(row.word if named else masked(who, item, row.word)) or None,
        count=row.n,
        first_at=row.first_at,
        last_at=row.last_at,
        sessions=row.spans,
        **numbers,
    )


async def _ordered(session: ReadSession, customer: UUID, item: Served, now: datetime) -> list[Ordered]:
    if item.feed is not None:
        return []
    settings = settings_of(session)
    covers = item.window(settings, now)
    rows = await bought.newest(session, customer, settings.currency, covers, MOST_PARTS)
    return [
        Ordered(
            source=row.source,
            order_id=row.order_id,
            completed_at=row.completed_at,
            amount=row.amount,
            refunded=row.refunded,
            currency=row.currency,
        )
        for row in rows
    ]
