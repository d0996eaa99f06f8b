"""What orders come to, aggregated by the database: a customer may have a hundred thousand of them.

Orders are looked up, not counted up: changes, refunds and cancellations reach back to the day of the order.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text

from perennial.common import rules
from perennial.common.db import ReadSession
from perennial.common.orders import REFUNDED
from perennial.common.rules.grammar.nodes import OnEvent
from perennial.common.rules.sql.conditions import condition_sql
from perennial.common.rules.sql.values import Binds
from perennial.common.rules.sql.values import number as as_number
from perennial.common.rules.sql.values import text as as_text
from perennial.profile.computed.partials import LONGEST_WORD, MOST_WORDS, Partial
from perennial.profile.computed.queries import Merged
from perennial.profile.computed.spec import CLOCKED, Spec
from perennial.profile.computed.windows import Window

UNTIED = UUID(int=0)
_ORDERS = f"""
    SELECT m.customer_id, p.source, p.order_id, p.completed_at AS at, p.amount, p.items, {{discount}} AS discount,
           coalesce(p.currency, :currency) AS currency,
           CASE WHEN refunded_at IS NULL THEN 0 ELSE {REFUNDED} END AS refunded
    FROM identity_map AS m JOIN purchase AS p USING (via) {{joined}}
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[])) AND p.cancelled_at IS NULL"""  # noqa: S608 (ours)
_PLAIN = _ORDERS.format(discount="CAST(0 AS numeric)", joined="")
_DISCOUNTED = _ORDERS.format(
    discount="coalesce(d.discount, 0)",
    joined="LEFT JOIN order_discount AS d ON d.source = p.source AND d.order_id = p.order_id",
)
_NEWEST = text(f"""
    SELECT source, order_id, at AS completed_at, amount, refunded, currency FROM ({_PLAIN}) AS o
    WHERE at BETWEEN :since AND :until ORDER BY at DESC, source, order_id LIMIT :limit""")  # noqa: S608
_COLUMNS = {
    "amount": "o.amount", "net": "(o.amount - o.refunded)", "refunded": "o.refunded", "discount": "o.discount",
    "items": "o.items", "currency": "o.currency", "order_id": "o.order_id", "$source": "o.source",
}  # fmt: skip
_NUMBERS = frozenset({"amount", "net", "refunded", "discount", "items"})
# Every zone's hours and days begin on one of these; which hour it is, Python knows as it does for events.
_QUARTER = "CAST(extract(epoch FROM date_bin('15 minutes', o.at, TIMESTAMPTZ '1970-01-01 00:00+00')) AS text)"
_ENDS = """(array_agg(CAST(to_jsonb({0}) AS text) ORDER BY o.at {1}, o.source {1}, o.order_id {1})
            FILTER (WHERE {2} AND {0} IS NOT NULL))[1]"""

Asked = tuple[Spec, Window]


async def merged(
    session: ReadSession, wanted: Sequence[Asked], customers: Collection[UUID], zone: tzinfo, currency: str
) -> dict[UUID, list[Merged]]:
    """By customer, for each definition over orders what they have in its window; zone and currency of the shop."""
    found = {customer: [Merged(defaultdict(Partial)) for _ in wanted] for customer in customers}
    if not wanted:
        return found
    binds = Binds()
    branches = [_branch(place, spec, covers, binds) for place, (spec, covers) in enumerate(wanted)]
    orders = _DISCOUNTED if any(map(_discounted, (spec for spec, _ in wanted))) else _PLAIN
    statement = f"WITH o AS MATERIALIZED ({orders}) {' UNION ALL '.join(branches)}"
    asked = {**binds.values, "customers": list(customers), "currency": currency}
    for row in await session.execute(text(statement), asked):
        spec, _ = wanted[row.place]
        mine = found[row.customer_id][row.place]
        mine.begins, mine.comes = _least(mine.begins, row.begins), _least(mine.comes, row.comes)
        if row.n:
            _take(mine, spec, row, ZoneInfo(spec.timezone) if spec.timezone else zone)
    return found


def _discounted(spec: Spec) -> bool:
    return "discount" in {spec.property, *(item["property"] for item in (*spec.where, *spec.having))}


def _least(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((at for at in (one, other) if at is not None), default=None)


def _take(mine: Merged, spec: Spec, row: Row[Any], zone: tzinfo) -> None:
    if spec.property in CLOCKED:
        _take_clocked(mine, spec, row, zone)
        return
    partial = mine.words[row.word]
    partial.at(row.first_at, 0)
    partial.at(row.last_at, row.n)
    partial.total, partial.low, partial.high = row.total, row.low, row.high
    partial.first = None if row.first is None else (UNTIED, row.first)
    partial.last = None if row.last is None else (UNTIED, row.last)


def _take_clocked(mine: Merged, spec: Spec, row: Row[Any], zone: tzinfo) -> None:
    first, last = (_clock(spec, at, zone) for at in (row.first_at, row.last_at))
    partial = mine.words[first if spec.keeps == "words" else ""]
    partial.at(row.first_at, 0)
    partial.at(row.last_at, row.n)
    if spec.keeps == "values":
        partial.first, partial.last = (UNTIED, first), (UNTIED, last)
    elif spec.keeps == "numbers":
        number = Decimal(first)
        partial.total = (partial.total or Decimal(0)) + number * row.n
        partial.low = number if partial.low is None else min(partial.low, number)
        partial.high = number if partial.high is None else max(partial.high, number)


def _clock(spec: Spec, at: datetime, zone: tzinfo) -> str:
    there = at.astimezone(zone)
    return str(there.hour if spec.property == "$hour" else there.isoweekday())


def _branch(place: int, spec: Spec, covers: Window, binds: Binds) -> str:
    """SQL of the partials of one definition, by customer and word."""
    counts, comes = "true", "false"
    if covers.leaves is not None:
        until = binds(covers.until, "timestamptz")
        counts, comes = f"o.at <= {until}", f"o.at > {until}"
    held = [f"o.at >= {binds(covers.since, 'timestamptz')}"] if covers.leaves is not None else []
    held += [_holds(item, binds) for item in spec.where]
    word, number = _word(spec, binds), _number(spec)
    if spec.keeps == "numbers" and spec.property not in CLOCKED:
        held.append(f"({number}) IS NOT NULL")
    elif spec.keeps == "words":
        held.append(f"{word} <> ''")
    ended = _COLUMNS.get(spec.property or "") if spec.keeps == "values" else None
    ends = [_ENDS.format(ended, order, counts) if ended else "CAST(NULL AS text)" for order in ("", "DESC")]
    counted = f"""
        SELECT {place} AS place, o.customer_id, {word} AS word, count(*) FILTER (WHERE {counts}) AS n,
            sum({number}) FILTER (WHERE {counts}) AS total, min({number}) FILTER (WHERE {counts}) AS low,
            max({number}) FILTER (WHERE {counts}) AS high, min(o.at) FILTER (WHERE {counts}) AS first_at,
            max(o.at) FILTER (WHERE {counts}) AS last_at, {ends[0]} AS first, {ends[1]} AS last,
            min(o.at) FILTER (WHERE {counts}) AS begins, min(o.at) FILTER (WHERE {comes}) AS comes
        FROM o {"WHERE " + " AND ".join(held) if held else ""} GROUP BY 2, 3"""  # noqa: S608 (what is not ours is bound)
    return _fewer(counted) if spec.keeps == "words" and spec.property not in {None, *CLOCKED} else counted


def _fewer(counted: str) -> str:
    """Beyond MOST_WORDS those of the greatest digests under the empty word, as `partials.words` has it."""
    return f"""
        SELECT place, customer_id, CASE WHEN nr > {MOST_WORDS} THEN '' ELSE word END AS word,
            CAST(sum(n) AS bigint) AS n,
            sum(total) AS total, min(low) AS low, max(high) AS high, min(first_at) AS first_at, max(last_at) AS last_at,
            min(first) AS first, min(last) AS last, min(begins) AS begins, min(comes) AS comes
        FROM (SELECT counted.*, row_number() OVER (
                  PARTITION BY customer_id, n > 0 ORDER BY md5(word)) AS nr FROM ({counted}) AS counted) AS ranked
        GROUP BY 1, 2, 3"""  # noqa: S608 (ours)


def _word(spec: Spec, binds: Binds) -> str:
    if spec.money:
        return "o.currency"
    if spec.property in CLOCKED and spec.keeps in {"words", "numbers"}:
        return _QUARTER
    if spec.keeps != "words":
        return "CAST('' AS text)"
    if spec.property is None:
        having = " AND ".join(_holds(item, binds) for item in spec.having)
        return f"CASE WHEN {having} THEN '1' ELSE '0' END"
    return f"left({as_text(f'to_jsonb({_COLUMNS[spec.property]})')}, {LONGEST_WORD})"


def _number(spec: Spec) -> str:
    if spec.keeps != "numbers" or spec.property is None or spec.property in CLOCKED:
        return "CAST(NULL AS numeric)"
    if spec.property in _NUMBERS:
        return f"CAST({_COLUMNS[spec.property]} AS numeric)"
    return as_number(f"to_jsonb({_COLUMNS[spec.property]})")


def _holds(condition: dict[str, Any], binds: Binds) -> str:
    rule = rules.parse({"event": "any", "where": [condition]})
    assert isinstance(rule, OnEvent)  # noqa: S101 (parse says so)
    [item] = rule.where
    return condition_sql(item, f"to_jsonb({_COLUMNS[item.property]})", [], binds, datetime.now(UTC))


async def newest(session: ReadSession, customer: UUID, currency: str, covers: Window, limit: int) -> Sequence[Row[Any]]:
    """A customer's orders in a window, the newest first: those of any kind that were not cancelled."""
    asked = {"customers": [customer], "currency": currency, "since": covers.since, "until": covers.until}
    return (await session.execute(_NEWEST, {**asked, "limit": limit})).all()
