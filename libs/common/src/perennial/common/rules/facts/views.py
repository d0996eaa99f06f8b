"""Loading what rules read of customers: only the names, properties and traits that somebody asks about."""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache, reduce
from operator import or_
from typing import Any, cast
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common.db.sessions import raw
from perennial.common.rules.evaluation.footprint import NOTHING, Footprint
from perennial.common.rules.sql.query import LATEST
from perennial.common.rules.view import Occurrence, View

# What a customer's rules read stands in the customer's row: `unnest` makes them rows, `names::text[]` an array of each.
_TRAITS = f"""
    SELECT DISTINCT ON (c.n, t.key) c.n, t.key, t.value::text
    FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS c (customer_id, keys, n)
    JOIN identity_map AS m ON m.customer_id = c.customer_id
    JOIN trait AS t ON t.via = m.via AND t.key = ANY(c.keys::text[])
    ORDER BY c.n, t.key, {LATEST}"""  # noqa: S608 (a constant of ours)
_EVENTS = """
    SELECT c.n, e.name, e.at, {properties}
    FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS c (customer_id, names, since, n)
    JOIN identity_map AS m ON m.customer_id = c.customer_id
    JOIN event AS e ON e.via = m.via AND e.name = ANY(c.names::text[]) AND e.at > c.since
    WHERE e.name = ANY($4::text[]) AND e.at > $5::timestamptz
    ORDER BY e.at"""
_MEMBERSHIPS = """
    SELECT c.n, s.segment_id
    FROM unnest($1::uuid[]) WITH ORDINALITY AS c (customer_id, n) JOIN membership AS s USING (customer_id)
    WHERE s.segment_id = ANY($2::uuid[])"""
_EVER = datetime.fromisoformat("0001-01-02T00:00:00+00:00")
MOST_PARTS = 40  # beyond, an event is loaded whole: a function takes a hundred arguments
SHORT = 200  # characters


async def load_views(
    session: AsyncSession, customer_ids: Collection[UUID], footprint: Footprint, now: datetime
) -> dict[UUID, View]:
    """What the footprint reads of each customer, in at most three queries; future events included."""
    views = [View(customer, {}, {}, set()) for customer in dict.fromkeys(customer_ids)]
    await _load(session, views, [footprint] * len(views), now)
    return {view.customer_id: view for view in views}


async def load_each(session: AsyncSession, wanted: Sequence[tuple[UUID, Footprint]], now: datetime) -> list[View]:
    """The same of customers of whom not the same is asked, many rules each: not to be changed but for segments."""
    views = [View(customer, {}, {}, set(), {}) for customer, _ in wanted]
    await _load(session, views, [reads for _, reads in wanted], now)
    return views


async def _load(session: AsyncSession, views: Sequence[View], reads: Sequence[Footprint], now: datetime) -> None:
    every = reduce(or_, {id(one): one for one in reads}.values(), NOTHING)  # as a rule there are few, shared by many
    if every != NOTHING:
        driver = await _driver(session)
        if every.traits:
            await _load_traits(driver, views, reads)
        if every.events:
            await _load_events(driver, views, reads, every, now)
        if every.segments:
            customers = [view.customer_id for view in views]
            for n, segment in await driver.fetch(_MEMBERSHIPS, customers, list(every.segments)):
                cast("set[UUID]", views[n - 1].segments).add(segment)


async def _driver(session: AsyncSession) -> asyncpg.Connection:
    try:
        return await raw(session)
    except RuntimeError:  # nothing was asked in this transaction yet
        await session.execute(text("SELECT 1"))
        return await raw(session)


async def _load_traits(driver: asyncpg.Connection, views: Sequence[View], reads: Sequence[Footprint]) -> None:
    spelled = _spelled({one.traits for one in reads})
    chosen = [(view, spelled[one.traits]) for view, one in zip(views, reads, strict=True) if one.traits]
    for n, key, value in await driver.fetch(_TRAITS, [view.customer_id for view, _ in chosen], [k for _, k in chosen]):
        cast("dict[str, object]", chosen[n - 1][0].traits)[key] = decoded(value)


async def _load_events(
    driver: asyncpg.Connection, views: Sequence[View], reads: Sequence[Footprint], every: Footprint, now: datetime
) -> None:
    spelled = _spelled({one.events for one in reads})
    chosen = [(view, one) for view, one in zip(views, reads, strict=True) if one.events]
    since = {span: _EVER if span is None else now - span for span in {one.look_back for _, one in chosen}}
    properties, values = properties_sql(every, 6)
    rows = await driver.fetch(
        _EVENTS.format(properties=properties),
        [view.customer_id for view, _ in chosen],
        [spelled[one.events] for _, one in chosen],
        [since[one.look_back] for _, one in chosen],
        list(every.events),  # for the index, and for the parts of the table: they know nothing of a customer's row
        min(since.values()),
        *values,
    )
    found = [cast("dict[str, list[Occurrence]]", view.events) for view, _ in chosen]
    for n, name, at, said in rows:
        of_name = found[n - 1].get(name)
        if of_name is None:
            of_name = found[n - 1][name] = []
        of_name.append(Occurrence(at, decoded(said) or {}))


def _spelled(sets: Iterable[frozenset[str]]) -> dict[frozenset[str], str]:
    return {names: "{" + ",".join(map(_quoted, sorted(names))) + "}" for names in sets}


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def properties_sql(reads: Footprint, first: int) -> tuple[str, list[object]]:
    """What matters of `e.properties` of an event `e.name`, as text, and the values of its parameters from `first`."""
    parts: dict[str, list[str]] = {}
    for event, name in sorted(reads.parts):
        parts.setdefault(event, []).append(name)
    whole = set(reads.whole()) | {event for event, names in parts.items() if len(names) > MOST_PARTS}
    values: list[object] = []

    def bound(value: object, kind: str) -> str:
        values.append(value)
        return f"${first + len(values) - 1}::{kind}"

    cases = [f"WHEN e.name = ANY({bound(sorted(whole), 'text[]')}) THEN e.properties::text"] if whole else []
    for event, names in parts.items():
        if event not in whole:
            taken = ", ".join(f"{name}, e.properties -> {name}" for name in [bound(one, "text") for one in names])
            cases.append(f"WHEN e.name = {bound(event, 'text')} THEN jsonb_build_object({taken})::text")
    return (f"CASE {' '.join(cases)} END" if cases else "NULL"), values


def decode(document: str | None) -> Any:
    """JSON as rules read it: fractions as Decimal, so that nothing is lost on the way to an answer."""
    return None if document is None else json.loads(document, parse_float=Decimal, parse_int=_whole)


def decoded(document: str | None) -> Any:
    """The same, but short documents, which are likely to come again, are shared: for views, which nobody changes."""
    return decode(document) if document is None or len(document) > SHORT else _again(document)


_again = lru_cache(maxsize=65_536)(decode)


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 31 else Decimal(digits)
