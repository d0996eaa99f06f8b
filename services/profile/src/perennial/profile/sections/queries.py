"""The SQL of the sections: rows come unique and in the order of their keys, an older version changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from perennial.common.db import WriteSession, raw

_ACCOUNTS = """
    INSERT INTO account AS a (via, balance, pending, version, as_of)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[])
    ON CONFLICT (via) DO UPDATE SET balance = excluded.balance, pending = excluded.pending,
        version = excluded.version, as_of = excluded.as_of
    WHERE a.version < excluded.version"""
_TIERS = """
    INSERT INTO tier AS t (customer_id, tier, since, version, as_of)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
    ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, since = excluded.since,
        version = excluded.version, as_of = excluded.as_of
    WHERE t.version < excluded.version"""
_MEMBERSHIPS = """
    INSERT INTO membership AS m (customer_id, segment_id, segment_name, member, since, version)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::timestamptz[], $6::bigint[])
    ON CONFLICT (customer_id, segment_id) DO UPDATE SET segment_name = excluded.segment_name,
        member = excluded.member, since = excluded.since, version = excluded.version
    WHERE m.version < excluded.version"""
_TICKETS = """
    INSERT INTO ticket AS t (ticket_id, via, open, version)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::bigint[])
    ON CONFLICT (ticket_id) DO UPDATE SET via = excluded.via, open = excluded.open, version = excluded.version
    WHERE t.version < excluded.version"""
_OUTREACH = """
    INSERT INTO outreach AS o (via, sent) SELECT * FROM unnest($1::uuid[], $2::bigint[])
    ON CONFLICT (via) DO UPDATE SET sent = o.sent + excluded.sent"""


async def write_accounts(session: WriteSession, rows: Sequence[tuple[UUID, int, int, int, datetime]]) -> None:
    """Rows of (via, balance, pending, version, as_of)."""
    await _write(session, _ACCOUNTS, rows)


async def write_tiers(session: WriteSession, rows: Sequence[tuple[UUID, str, datetime, int, datetime]]) -> None:
    """Rows of (customer, tier, since, version, as_of)."""
    await _write(session, _TIERS, rows)


async def write_memberships(session: WriteSession, rows: Sequence[tuple[UUID, UUID, str, bool, datetime, int]]) -> None:
    """Rows of (customer, segment, its name, member, since, version)."""
    await _write(session, _MEMBERSHIPS, rows)


async def write_tickets(session: WriteSession, rows: Sequence[tuple[UUID, UUID, bool, int]]) -> None:
    """Rows of (ticket, via, open, version)."""
    await _write(session, _TICKETS, rows)


async def add_messages(session: WriteSession, rows: Sequence[tuple[UUID, int]]) -> None:
    """Rows of (via, messages sent)."""
    await _write(session, _OUTREACH, rows)


async def _write(session: WriteSession, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await (await raw(session)).execute(statement, *zip(*rows, strict=True))
