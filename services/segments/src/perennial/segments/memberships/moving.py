"""The SQL by which thousands of memberships change at once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from perennial.common.db import WriteSession, raw
from perennial.common.db.arrays import array, arrays
from perennial.common.db.sessions import ASIDE

_ENTER = """
    WITH present AS MATERIALIZED (
        SELECT id FROM segment WHERE id = ANY($4::text::uuid[]) AND state <> 'archived' {hold}),
    entered AS (
        INSERT INTO membership (segment_id, customer_id, since, version)
        SELECT s, c, $3, nextval('membership_version')
        FROM unnest($1::text::uuid[], $2::text::uuid[]) AS p (s, c) JOIN present ON present.id = s
        ON CONFLICT DO NOTHING RETURNING segment_id, customer_id, version),
    noted AS (
        INSERT INTO membership_change (segment_id, customer_id, entered, at)
        SELECT segment_id, customer_id, true, $3 FROM entered)
    SELECT * FROM entered"""
_LEAVE = """
    WITH ended AS (
        DELETE FROM membership AS m USING unnest($1::text::uuid[], $2::text::uuid[]) AS p (s, c)
        WHERE m.segment_id = s AND m.customer_id = c
        RETURNING m.segment_id, m.customer_id, nextval('membership_version') AS version),
    noted AS (
        INSERT INTO membership_change (segment_id, customer_id, entered, at)
        SELECT segment_id, customer_id, false, $3 FROM ended)
    SELECT * FROM ended"""

Pairs = Sequence[tuple[UUID, UUID]]


async def enter(session: WriteSession, pairs: Pairs, at: datetime) -> list[asyncpg.Record]:
    """Make (segment, customer) pairs members; returns those that were not, with their versions.

    Nobody enters a segment that was archived while they were computed.
    """
    hold = "" if session.info.get(ASIDE) else "FOR KEY SHARE"
    segments = array([*{segment for segment, _ in pairs}])
    driver = await raw(session)
    return await driver.fetch(_ENTER.format(hold=hold), *arrays(pairs), at, segments)


async def leave(session: WriteSession, pairs: Pairs, at: datetime) -> list[asyncpg.Record]:
    """End memberships of (segment, customer) pairs; returns those that ended, with new versions."""
    driver = await raw(session)
    return await driver.fetch(_LEAVE, *arrays(pairs), at)
