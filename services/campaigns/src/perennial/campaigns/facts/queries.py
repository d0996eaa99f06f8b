"""What journeys read, as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

_INTERESTS = text("SELECT name, kept_for, exits, since FROM interest WHERE name = ANY(CAST(:names AS text[]))")
_ALL = text("SELECT name, kept_for, exits, since FROM interest")
_RENEW = text("""
    INSERT INTO interest AS i (name, kept_for, exits, since)
    SELECT name, kept_for, exits, now()
    FROM unnest(CAST(:names AS text[]), CAST(:spans AS interval[]), CAST(:exits AS boolean[]))
        AS x(name, kept_for, exits)
    ON CONFLICT (name) DO UPDATE SET
        kept_for = excluded.kept_for, exits = excluded.exits,
        since = greatest(i.since, coalesce(now() - i.kept_for, i.since))""")
_FORGET = text("DELETE FROM interest WHERE name <> ALL(CAST(:names AS text[]))")
_MEMBERSHIPS = text("""
    INSERT INTO segment_membership AS m (segment_id, customer_id, member, version, since)
    SELECT * FROM unnest(CAST(:segments AS uuid[]), CAST(:customers AS uuid[]), CAST(:members AS boolean[]),
                         CAST(:versions AS bigint[]), CAST(:sinces AS timestamptz[]))
    ON CONFLICT (segment_id, customer_id) DO UPDATE
    SET member = excluded.member, version = excluded.version, since = excluded.since
    WHERE m.version < excluded.version""")
_MEMBERS = text("""
    SELECT DISTINCT i.customer_id FROM membership AS m JOIN identity_map AS i ON i.via = m.customer_id
    WHERE m.segment_id = :segment""")
# Who has left a segment after an entry into it, and is no member by another identifier either.
_LEFT = text("""
    SELECT x.n FROM unnest(CAST(:customers AS uuid[]), CAST(:segments AS uuid[]), CAST(:versions AS bigint[]))
        WITH ORDINALITY AS x(customer_id, segment_id, version, n)
    JOIN segment_membership AS m USING (segment_id, customer_id)
    WHERE NOT m.member AND m.version > x.version AND NOT EXISTS (
        SELECT FROM identity_map AS i JOIN membership AS s ON s.customer_id = i.customer_id
        WHERE i.via = x.customer_id AND s.segment_id = x.segment_id)""")
_KNOWN = text("SELECT EXISTS (SELECT FROM segment_membership WHERE segment_id = :segment)")
_SWEEP = text("""
    DELETE FROM event WHERE id IN (
        SELECT e.id FROM event AS e LEFT JOIN interest AS i ON i.name = e.name
        WHERE i.name IS NULL OR e.at < now() - i.kept_for LIMIT :n)""")


@dataclass(frozen=True)
class Interest:
    """That an event is kept, for how long (None: for ever), and whether it ends journeys."""

    name: str
    kept_for: timedelta | None
    exits: bool
    since: datetime


@dataclass(frozen=True)
class Membership:
    """The state of one customer in one segment."""

    segment_id: UUID
    customer_id: UUID
    member: bool
    version: int
    since: datetime


async def interests(session: ReadSession, names: Sequence[str] | None = None) -> dict[str, Interest]:
    """What is kept, of these names or of all."""
    rows = await session.execute(_ALL) if names is None else await session.execute(_INTERESTS, {"names": list(names)})
    return {row[0]: Interest(*row) for row in rows}


async def renew_interests(session: WriteSession, wanted: dict[str, tuple[timedelta | None, bool]]) -> None:
    """Keep exactly these from now on: for how long, and whether they end journeys."""
    names = sorted(wanted)
    await session.execute(_FORGET, {"names": names})
    values = {
        "names": names,
        "spans": [wanted[name][0] for name in names],
        "exits": [wanted[name][1] for name in names],
    }
    await session.execute(_RENEW, values)


async def put_memberships(session: WriteSession, memberships: Sequence[Membership]) -> None:
    """Take over the newer ones; no two of the same segment and customer."""
    values = {
        "segments": [item.segment_id for item in memberships],
        "customers": [item.customer_id for item in memberships],
        "members": [item.member for item in memberships],
        "versions": [item.version for item in memberships],
        "sinces": [item.since for item in memberships],
    }
    await session.execute(_MEMBERSHIPS, values)


async def members(session: ReadSession, segment: UUID) -> list[UUID]:
    """Today's customers in a segment."""
    return list((await session.execute(_MEMBERS, {"segment": segment})).scalars())


async def left_again(session: ReadSession, entries: Sequence[tuple[UUID, UUID, int]]) -> set[int]:
    """The places of those entries (customer, segment, version) whose customers are known to be members no more."""
    customers, segments, versions = (list(column) for column in zip(*entries, strict=True))
    values = {"customers": customers, "segments": segments, "versions": versions}
    return {n - 1 for n in (await session.execute(_LEFT, values)).scalars()}


async def is_known(session: ReadSession, segment: UUID) -> bool:
    """Whether anything was ever heard of the segment's members."""
    return bool((await session.execute(_KNOWN, {"segment": segment})).scalar_one())


async def sweep_events(session: WriteSession, n: int) -> int:
    """Delete up to `n` events that no journey reads any more."""
    return int((await session.execute(_SWEEP, {"n": n})).rowcount)  # type: ignore[attr-defined]
