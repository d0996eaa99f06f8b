"""The SQL of the sections: rows come unique and in the order of their keys, an older version changes nothing."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from perennial.common.db import WriteSession, raw

_ACCOUNTS = """
    INSERT INTO account AS a (via, currency, balance, pending, version, as_of)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::timestamptz[])
    ON CONFLICT (via, currency) DO UPDATE SET balance = excluded.balance, pending = excluded.pending,
        version = excluded.version, as_of = excluded.as_of
    WHERE a.version < excluded.version"""
_EXPIRING = """
    INSERT INTO expiring AS e (via, currency, expires_at, points, as_of)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
    ON CONFLICT (via, currency, expires_at) DO UPDATE SET points = excluded.points, as_of = excluded.as_of
    WHERE e.as_of < excluded.as_of"""
_EXPIRED = "DELETE FROM expiring WHERE via = ANY($1::uuid[]) AND expires_at < now() - interval '1 day'"
_TIERS = """
    INSERT INTO tier AS t (customer_id, tier, since, version, as_of)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[], $5::timestamptz[])
    ON CONFLICT (customer_id) DO UPDATE SET tier = excluded.tier, since = excluded.since,
        version = excluded.version, as_of = excluded.as_of
    WHERE t.version < excluded.version"""
_MEMBERSHIPS = """
    INSERT INTO membership AS m (customer_id, segment_id, segment_name, member, since, version, as_of)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::timestamptz[], $6::bigint[],
                         $7::timestamptz[])
    ON CONFLICT (customer_id, segment_id) DO UPDATE SET segment_name = excluded.segment_name,
        member = excluded.member, since = excluded.since, version = excluded.version, as_of = excluded.as_of
    WHERE m.version < excluded.version"""
_TICKETS = """
    INSERT INTO ticket AS t (ticket_id, via, open, version, type, stage, priority, as_of)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[])
    ON CONFLICT (ticket_id) DO UPDATE SET via = excluded.via, open = excluded.open, version = excluded.version,
        type = excluded.type, stage = excluded.stage, priority = excluded.priority, as_of = excluded.as_of
    WHERE t.version < excluded.version"""
# What happened to a ticket once stays true, whatever was heard first.
_TICKET_MARKS = """
    UPDATE ticket AS t SET opened_at = least(t.opened_at, x.opened_at),
        breached = CASE WHEN x.breached_at < t.breached_at OR t.breached_at IS NULL THEN x.breached ELSE t.breached END,
        breached_at = least(t.breached_at, x.breached_at),
        score = CASE WHEN x.rated_at > t.rated_at OR t.rated_at IS NULL THEN x.score ELSE t.score END,
        rated_at = greatest(t.rated_at, x.rated_at)
    FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::int[])
        AS x (ticket_id, opened_at, breached_at, breached, rated_at, score)
    WHERE t.ticket_id = x.ticket_id"""
_COUPONS = """
    INSERT INTO coupon AS c (source, coupon_id, via, kind, name, state, held, version, since, expires_at, as_of)
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::jsonb[], $6::text[], $7::bool[],
                         $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
    ON CONFLICT (source, coupon_id) DO UPDATE SET via = excluded.via, kind = excluded.kind, name = excluded.name,
        state = excluded.state, held = excluded.held, version = excluded.version, since = excluded.since,
        expires_at = excluded.expires_at, as_of = excluded.as_of
    WHERE c.version < excluded.version"""
_REACH = """
    INSERT INTO reach AS r (via, channel, sent, suppressed, last_sent_at, last_suppressed_at, last_reason)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
                         $7::text[])
    ON CONFLICT (via, channel) DO UPDATE SET sent = r.sent + excluded.sent,
        suppressed = r.suppressed + excluded.suppressed, last_sent_at = greatest(r.last_sent_at, excluded.last_sent_at),
        last_reason = CASE WHEN excluded.last_suppressed_at > r.last_suppressed_at OR r.last_suppressed_at IS NULL
                      THEN excluded.last_reason ELSE r.last_reason END,
        last_suppressed_at = greatest(r.last_suppressed_at, excluded.last_suppressed_at)"""
# A walk begins once more when a merge is undone: the latest beginning and the latest end tell which holds.
_ENROLMENTS = """
    INSERT INTO enrolment AS e (enrolment_id, via, journey_id, started_at, ended_at, reason)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[])
    ON CONFLICT (enrolment_id) DO UPDATE SET started_at = greatest(e.started_at, excluded.started_at),
        ended_at = CASE WHEN greatest(e.started_at, excluded.started_at) > greatest(e.ended_at, excluded.ended_at)
                   THEN NULL ELSE greatest(e.ended_at, excluded.ended_at) END,
        reason = CASE WHEN greatest(e.started_at, excluded.started_at) > greatest(e.ended_at, excluded.ended_at)
                 THEN NULL WHEN excluded.ended_at > e.ended_at OR e.ended_at IS NULL
                 THEN excluded.reason ELSE e.reason END"""
_MERGERS = """
    INSERT INTO merger (merge_id, survivor, merged, at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[]) ON CONFLICT DO NOTHING"""

Instant = datetime | None


async def write_accounts(session: WriteSession, rows: Sequence[tuple[UUID, str, int, int, int, datetime]]) -> None:
    """Rows of (via, currency, balance, pending, version, as_of)."""
    await _write(session, _ACCOUNTS, rows)


async def write_expiring(session: WriteSession, rows: Sequence[tuple[UUID, str, datetime, int, datetime]]) -> None:
    """Rows of (via, currency, expires_at, points, as_of); of these identifiers what is over goes."""
    await _write(session, _EXPIRING, rows)
    if rows:
        await (await raw(session)).execute(_EXPIRED, [row[0] for row in rows])


async def write_tiers(session: WriteSession, rows: Sequence[tuple[UUID, str, datetime, int, datetime]]) -> None:
    """Rows of (customer, tier, since, version, as_of)."""
    await _write(session, _TIERS, rows)


async def write_memberships(
    session: WriteSession, rows: Sequence[tuple[UUID, UUID, str, bool, datetime, int, datetime]]
) -> None:
    """Rows of (customer, segment, its name, member, since, version, as_of)."""
    await _write(session, _MEMBERSHIPS, rows)


async def write_tickets(
    session: WriteSession, rows: Sequence[tuple[UUID, UUID, bool, int, str, str, str, datetime]]
) -> None:
    """Rows of (ticket, via, open, version, type, stage, priority, as_of)."""
    await _write(session, _TICKETS, rows)


async def mark_tickets(
    session: WriteSession, rows: Sequence[tuple[UUID, Instant, Instant, str | None, Instant, int | None]]
) -> None:
    """Rows of (ticket, opened_at, breached_at, the level missed, rated_at, score); None: nothing was said of it."""
    await _write(session, _TICKET_MARKS, rows)


async def write_coupons(
    session: WriteSession,
    rows: Sequence[tuple[str, UUID, UUID, str, str, str, bool, int, datetime, Instant, datetime]],
) -> None:
    """Rows of (source, coupon, via, kind, JSON of its name, state, held, version, since, expires_at, as_of)."""
    await _write(session, _COUPONS, rows)


async def add_messages(
    session: WriteSession, rows: Sequence[tuple[UUID, str, int, int, Instant, Instant, str | None]]
) -> None:
    """Rows of (via, channel, sent, suppressed, last_sent_at, last_suppressed_at, its reason)."""
    await _write(session, _REACH, rows)


async def write_enrolments(
    session: WriteSession, rows: Sequence[tuple[UUID, UUID, UUID, Instant, Instant, str | None]]
) -> None:
    """Rows of (enrolment, via, journey, last started_at, ended_at, reason); none ended before it started."""
    await _write(session, _ENROLMENTS, rows)


async def write_mergers(session: WriteSession, rows: Sequence[tuple[UUID, UUID, UUID, datetime]]) -> None:
    """Rows of (merge, survivor, merged, at)."""
    await _write(session, _MERGERS, rows)


async def _write(session: WriteSession, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        await (await raw(session)).execute(statement, *zip(*rows, strict=True))
