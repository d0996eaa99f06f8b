"""The SQL by which thousands of memberships change at once."""

import struct
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import asyncpg

from perennial.common.beside import beside
from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array, arrays
from perennial.common.db.copying import copy, instant
from perennial.common.db.sessions import ASIDE

MANY = 100

# All that a statement changes bears one number: of one membership they still rise. As a rule all change that are named:
# then no row comes back, and nothing is to be read here.
_CHANGED = """
    drawn AS MATERIALIZED (SELECT nextval('membership_version') AS version),
    {changed} RETURNING m.segment_id, m.customer_id),
    noted AS (
        INSERT INTO membership_change (segment_id, customer_id, entered, at)
        SELECT segment_id, customer_id, {entered}, $3 FROM changed),
    counted AS MATERIALIZED (SELECT count(*) < cardinality($1::text::uuid[]) AS fewer FROM changed)
    SELECT drawn.version,
           CASE WHEN fewer THEN ARRAY(SELECT segment_id FROM changed) END,
           CASE WHEN fewer THEN ARRAY(SELECT customer_id FROM changed) END
    FROM drawn CROSS JOIN counted"""
_ENTERED = """
    changed AS (
        INSERT INTO membership AS m (segment_id, customer_id, since, version)
        SELECT s, c, $3, drawn.version
        FROM unnest($1::text::uuid[], $2::text::uuid[]) AS p (s, c) JOIN present ON present.id = s CROSS JOIN drawn
        ON CONFLICT DO NOTHING"""
_LEFT = """
    changed AS (
        DELETE FROM membership AS m USING unnest($1::text::uuid[], $2::text::uuid[]) AS p (s, c)
        WHERE m.segment_id = s AND m.customer_id = c"""
_PRESENT = "SELECT id FROM segment WHERE id = ANY($1::text::uuid[]) AND state <> 'archived' FOR KEY SHARE"
_DRAWN = "SELECT nextval('membership_version')"
_ENTER = f"""
    WITH present AS MATERIALIZED (
        SELECT id FROM segment WHERE id = ANY($4::text::uuid[]) AND state <> 'archived' {{hold}}),
    {_CHANGED.format(changed=_ENTERED, entered="true")}"""  # noqa: S608 (constants of ours)
_LEAVE = f"WITH {_CHANGED.format(changed=_LEFT, entered='false')}"
_MEMBER, _CHANGE = struct.Struct(">hi16si16siqiq").pack, struct.Struct(">hi16si16siBiq").pack

Pairs = Sequence[tuple[UUID, UUID]]
Moved = list[tuple[UUID, UUID, int]]
Made = TypeVar("Made")


async def enter(session: WriteSession, pairs: Pairs, at: datetime, make: Callable[[Moved], Awaitable[Made]]) -> Made:
    """Make (segment, customer) pairs members; returns what is made of those that were not, with their versions.

    Nobody enters a segment that was archived while they were computed. `make` uses no session: of many it is asked
    while they are being written, and once more where some were members already.
    """
    if len(pairs) >= MANY and not session.info.get(ASIDE):
        made = await _all_new(session, pairs, at, make)
        if made is not None:
            return made[0]
    hold = "" if session.info.get(ASIDE) else "FOR KEY SHARE"
    segments = array([*{segment for segment, _ in pairs}])
    driver = await raw(session)
    [row] = await driver.fetch(_ENTER.format(hold=hold), *arrays(pairs), at, segments)
    return await make(_moved(pairs, row))


async def _all_new(
    session: WriteSession, pairs: Pairs, at: datetime, make: Callable[[Moved], Awaitable[Made]]
) -> tuple[Made] | None:
    """COPY them in, at two thirds of the price; whoever is a member already takes all back."""
    driver = await raw(session)
    present = {row[0] for row in await driver.fetch(_PRESENT, array([*{segment for segment, _ in pairs}]))}
    version = await driver.fetchval(_DRAWN)
    moved = [(segment, customer, version) for segment, customer in pairs if segment in present]
    known, when = {segment: segment.bytes for segment in present}, instant(at)
    both = [(known[segment], customer.bytes) for segment, customer, _ in moved]
    members = ((_MEMBER(4, 16, segment, 16, customer, 8, when, 8, version),) for segment, customer in both)
    changes = ((_CHANGE(4, 16, segment, 16, customer, 1, 1, 8, when),) for segment, customer in both)

    async def write() -> None:
        await copy(session, "membership", ("segment_id", "customer_id", "since", "version"), members)
        await copy(session, "membership_change", ("segment_id", "customer_id", "entered", "at"), changes)

    try:
        async with session.begin_nested():
            _, made = await beside(write(), lambda: make(moved))
    except asyncpg.UniqueViolationError:
        return None
    return (made,)


async def leave(session: WriteSession, pairs: Pairs, at: datetime) -> Moved:
    """End memberships of (segment, customer) pairs; returns those that ended, with new versions."""
    driver = await raw(session)
    [row] = await driver.fetch(_LEAVE, *arrays(pairs), at)
    return _moved(pairs, row)


def _moved(pairs: Pairs, row: asyncpg.Record) -> Moved:
    version, segments, customers = row
    moved = pairs if segments is None else zip(segments, customers, strict=True)
    return [(segment, customer, version) for segment, customer in moved]
