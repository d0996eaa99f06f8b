"""The SQL of what is known of customers."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import select, text

from perennial.common.db import ReadSession, WriteSession
from perennial.tickets.customers.models import CustomerSegment, CustomerTier

_TIERS = text("""
    INSERT INTO customer_tier AS t (customer_id, tier, version)
    SELECT DISTINCT ON (customer_id) customer_id, tier, version
    FROM unnest(CAST(:customers AS uuid[]), CAST(:tiers AS text[]), CAST(:versions AS bigint[]))
         AS said (customer_id, tier, version)
    ORDER BY customer_id, version DESC
    ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, version = excluded.version
    WHERE t.version < excluded.version""")
_MEMBERSHIPS = text("""
    INSERT INTO customer_segment AS s (customer_id, segment_id, member, version)
    SELECT DISTINCT ON (customer_id, segment_id) customer_id, segment_id, member, version
    FROM unnest(CAST(:customers AS uuid[]), CAST(:segments AS uuid[]), CAST(:members AS boolean[]),
                CAST(:versions AS bigint[])) AS said (customer_id, segment_id, member, version)
    ORDER BY customer_id, segment_id, version DESC
    ON CONFLICT (customer_id, segment_id) DO UPDATE SET member = excluded.member, version = excluded.version
    WHERE s.version < excluded.version""")


async def write_tiers(session: WriteSession, rows: Sequence[tuple[UUID, str, int]]) -> None:
    """Keep (customer, tier, version); an older version changes nothing."""
    if rows:
        customers, tiers, versions = (list(column) for column in zip(*rows, strict=True))
        await session.execute(_TIERS, {"customers": customers, "tiers": tiers, "versions": versions})


async def write_memberships(session: WriteSession, rows: Sequence[tuple[UUID, UUID, bool, int]]) -> None:
    """Keep (customer, segment, member, version); an older version changes nothing."""
    if rows:
        customers, segments, members, versions = (list(column) for column in zip(*rows, strict=True))
        await session.execute(
            _MEMBERSHIPS, {"customers": customers, "segments": segments, "members": members, "versions": versions}
        )


async def tiers(session: ReadSession, customers: Iterable[UUID]) -> dict[UUID, str]:
    """The tier of each customer that has one."""
    wanted = select(CustomerTier.customer_id, CustomerTier.tier).where(CustomerTier.customer_id.in_(list(customers)))
    return {row.customer_id: row.tier for row in await session.execute(wanted)}


async def segments(session: ReadSession, customers: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """The segments of each customer that is in any."""
    wanted = select(CustomerSegment.customer_id, CustomerSegment.segment_id).where(
        CustomerSegment.customer_id.in_(list(customers)), CustomerSegment.member
    )
    found: dict[UUID, set[UUID]] = {}
    for row in await session.execute(wanted):
        found.setdefault(row.customer_id, set()).add(row.segment_id)
    return found
