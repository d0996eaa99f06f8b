"""The SQL of what is kept for computed traits."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession, raw
from perennial.common.db.arrays import arrays
from perennial.common.db.locks import lock_key
from perennial.profile.computed.partials import Partial
from perennial.profile.computed.windows import Window

_TYPES = {
    "via": "uuid", "feed": "int", "bucket": "timestamptz", "word": "text", "n": "bigint", "total": "numeric",
    "low": "numeric", "high": "numeric", "first_at": "timestamptz", "last_at": "timestamptz", "first_id": "uuid",
    "first_value": "text", "last_id": "uuid", "last_value": "text", "spans": "text",
}  # fmt: skip
COLUMNS = tuple(_TYPES)
_CASTS = {"first_value": "::jsonb", "last_value": "::jsonb", "spans": "::int8multirange"}
_FIRST = "(excluded.first_at, excluded.first_id) < (p.first_at, p.first_id)"
_LAST = "(excluded.last_at, excluded.last_id) > (p.last_at, p.last_id)"
_ADD = f"""
    INSERT INTO computed_partial AS p ({", ".join(COLUMNS)})
    SELECT {", ".join(f"{name}{_CASTS.get(name, '')}" for name in COLUMNS)}
    FROM unnest({", ".join(f"${n}::text::{kind}[]" for n, kind in enumerate(_TYPES.values(), 1))})
        AS x({", ".join(COLUMNS)})
    ON CONFLICT (via, feed, bucket, word) DO UPDATE SET
        n = p.n + excluded.n, total = p.total + excluded.total,
        low = least(p.low, excluded.low), high = greatest(p.high, excluded.high),
        first_id = CASE WHEN {_FIRST} THEN excluded.first_id ELSE p.first_id END,
        first_value = CASE WHEN {_FIRST} THEN excluded.first_value ELSE p.first_value END,
        last_id = CASE WHEN {_LAST} THEN excluded.last_id ELSE p.last_id END,
        last_value = CASE WHEN {_LAST} THEN excluded.last_value ELSE p.last_value END,
        first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at),
        spans = p.spans + excluded.spans"""  # noqa: S608 (constants of ours)
_WANTED = """
    FROM identity_map AS m JOIN computed_partial AS p USING (via)
    JOIN unnest(CAST(:feeds AS int[]), CAST(:sinces AS timestamptz[]), CAST(:untils AS timestamptz[]))
        WITH ORDINALITY AS w(feed, since, until, place) ON p.feed = w.feed AND p.bucket >= w.since
    WHERE m.customer_id = ANY(CAST(:customers AS uuid[]))"""
_IN = "FILTER (WHERE p.bucket <= w.until)"
_MERGED = text(f"""
    SELECT m.customer_id, w.place, p.word, sum(p.n) {_IN} AS n, sum(p.total) {_IN} AS total, min(p.low) {_IN} AS low,
           max(p.high) {_IN} AS high, min(p.first_at) {_IN} AS first_at, max(p.last_at) {_IN} AS last_at,
           range_agg(p.spans) {_IN} AS spans, min(p.bucket) {_IN} AS begins,
           min(p.bucket) FILTER (WHERE p.bucket > w.until) AS comes
    {_WANTED} GROUP BY 1, 2, 3""")
_ENDS = """
    SELECT DISTINCT ON (m.customer_id, w.place) m.customer_id, w.place, p.{0}_id AS id, p.{0}_value::text AS value
    {1} AND p.bucket <= w.until AND p.{0}_value IS NOT NULL ORDER BY 1, 2, p.{0}_at {2}, p.{0}_id {2}"""
_FIRSTS = text(_ENDS.format("first", _WANTED, "ASC"))
_LASTS = text(_ENDS.format("last", _WANTED, "DESC"))
_PARTS = text("""
    SELECT p.via, p.bucket, p.word, p.n, p.total, p.low, p.high, p.first_at, p.last_at,
           coalesce((SELECT count(*) FROM unnest(p.spans)), 0) AS spans
    FROM identity_map AS m JOIN computed_partial AS p USING (via)
    WHERE m.customer_id = :customer AND p.feed = :feed AND p.bucket >= :since AND p.bucket <= :until
    ORDER BY p.bucket DESC, p.n DESC, p.word, p.via LIMIT :limit""")
_OWNERS = text("""
    SELECT DISTINCT p.via FROM purchase AS p
    JOIN unnest(CAST(CAST(:sources AS text) AS text[]), CAST(CAST(:orders AS text) AS text[]))
        AS said(source, order_id) USING (source, order_id)
    WHERE p.via IS NOT NULL""")
_FEEDS = text("SELECT id, spec::text AS spec, ready, month, via FROM computed_feed ORDER BY id")


@dataclass(slots=True)
class Merged:
    """What the identifiers of one customer have together, by word, in the buckets that count."""

    words: dict[str, Partial]
    begins: datetime | None = None
    comes: datetime | None = None


async def share(session: WriteSession) -> None:
    """Hold off the backfill until the transaction ends: what it has passed is counted here, all else by it."""
    await session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _fence()})


async def hold(session: WriteSession) -> None:
    """Wait until no batch is between reading how far a backfill is and committing its events."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _fence()})


def _fence() -> int:
    return lock_key("profile", "computed")


async def feeds(session: ReadSession) -> Sequence[Row[Any]]:
    """id, spec, ready, month, via of every feed."""
    return (await session.execute(_FEEDS)).all()


async def add(session: WriteSession, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows in the order of COLUMNS, unique and sorted by their key."""
    if rows:
        await (await raw(session)).execute(_ADD, *arrays(rows))


async def merged(
    session: ReadSession, customers: Collection[UUID], wanted: Sequence[tuple[int, Window]], *, values: bool
) -> dict[tuple[UUID, int], Merged]:
    """By customer and place in `wanted`: what is kept of the feed in the window; `values`: first and last ones too."""
    asked = {
        "customers": list(customers),
        "feeds": [feed for feed, _ in wanted],
        "sinces": [window.since for _, window in wanted],
        "untils": [window.until for _, window in wanted],
    }
    found: dict[tuple[UUID, int], Merged] = {}
    if not wanted:
        return found
    for row in await session.execute(_MERGED, asked):
        key = (row.customer_id, row.place - 1)
        mine = found.get(key)
        if mine is None:
            mine = found[key] = Merged({})
        if row.n is not None:
            mine.words[row.word] = _partial(row)
        mine.begins, mine.comes = _least(mine.begins, row.begins), _least(mine.comes, row.comes)
    if values:
        await _ends(session, asked, found)
    return found


async def _ends(session: ReadSession, asked: Mapping[str, Any], found: dict[tuple[UUID, int], Merged]) -> None:
    for row in await session.execute(_FIRSTS, asked):
        found[row.customer_id, row.place - 1].words[""].first = (row.id, row.value)
    for row in await session.execute(_LASTS, asked):
        found[row.customer_id, row.place - 1].words[""].last = (row.id, row.value)


def _partial(row: Row[Any]) -> Partial:
    spans = [(span.lower, span.upper) for span in row.spans or ()]
    return Partial(int(row.n), row.total, row.low, row.high, row.first_at, row.last_at, spans=spans)


def _least(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


async def parts(session: ReadSession, customer: UUID, feed: int, window: Window, limit: int) -> Sequence[Row[Any]]:
    """What is kept for a customer's identifiers, the newest buckets first."""
    asked = {"customer": customer, "feed": feed, "since": window.since, "until": window.until, "limit": limit}
    return (await session.execute(_PARTS, asked)).all()


async def owners(session: ReadSession, orders: Collection[tuple[str, str]]) -> set[UUID]:
    """The identifiers that own these orders, by source and order id."""
    if not orders:
        return set()
    sources, ids = arrays(orders)
    return set((await session.execute(_OWNERS, {"sources": sources, "orders": ids})).scalars())


async def next_version(session: WriteSession) -> int:
    """A number that grows; drawn under a customer's lock, so a later state of it has a greater one."""
    return int((await session.execute(text("SELECT nextval('computed_version')"))).scalar_one())
