"""Sessions, and the count of failed attempts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select, text, update

from perennial.common.db import ReadSession, WriteSession
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.sessions.models import Session

FREE = 5
FIRST_SECONDS, LONGEST_SECONDS = 60, 3600

# One statement counts and decides: guesses side by side wait for each other's row, and none is counted less.
_TAKE = text("""
    INSERT INTO staff_attempt AS a (key, failures, at) VALUES (:key, 1, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET failures = least(a.failures + 1, 1000), at = clock_timestamp(), locked_until =
        CASE WHEN a.failures + 1 >= :free THEN clock_timestamp()
            + make_interval(secs => least(:longest, :first * power(2, least(a.failures + 1 - :free, 20)))) END
    WHERE a.locked_until IS NULL OR a.locked_until <= clock_timestamp()
    RETURNING failures""")
_SEEN = text("""
    UPDATE staff_session SET last_seen_at = greatest(last_seen_at, seen.at)
    FROM unnest(CAST(:ids AS text[]), CAST(:at AS timestamptz[])) AS seen (id, at)
    WHERE staff_session.id = seen.id""")
_SWEEP = text("DELETE FROM staff_session WHERE expires_at < now() - make_interval(days => 30)")


async def take_attempt(session: WriteSession, key: str) -> int | None:
    """Count an attempt before it is made; how many there were since the last success, or None: locked out."""
    found = await session.execute(_TAKE, {"key": key, "free": FREE, "first": FIRST_SECONDS, "longest": LONGEST_SECONDS})
    return found.scalar_one_or_none()


async def forget_attempts(session: WriteSession, key: str) -> None:
    """After a success, or when somebody unlocks an account."""
    await session.execute(text("DELETE FROM staff_attempt WHERE key = :key"), {"key": key})


def _live(idle: timedelta) -> Select[Session, Account]:
    return (
        select(Session, Account)
        .join(Account, Account.id == Session.account_id)
        .where(
            Session.revoked_at.is_(None), Account.disabled.is_(False), Session.expires_at > func.now(),
            Session.last_seen_at > func.now() - idle,
        )
    )  # fmt: skip


async def live(session: ReadSession, idle: timedelta) -> list[tuple[Session, Account]]:
    """Every session that is good, with its account."""
    return [(row[0], row[1]) for row in await session.execute(_live(idle))]


async def live_among(
    session: ReadSession, idle: timedelta, *, digests: Sequence[bytes] = (), ids: Sequence[str] = ()
) -> list[tuple[Session, Account]]:
    """Those of the sessions that are good, by the digest of their token or by their id."""
    named = or_(Session.digest.in_(digests), Session.id.in_(ids))
    return [(row[0], row[1]) for row in await session.execute(_live(idle).where(named))]


async def of_account(session: ReadSession, idle: timedelta, account_id: str) -> Sequence[Session]:
    """An account's good sessions, newest first."""
    statement = _live(idle).where(Session.account_id == account_id).order_by(Session.created_at.desc()).limit(200)
    return [row[0] for row in await session.execute(statement)]


async def revoke(session: WriteSession, account_id: str, session_id: str | None = None) -> int:
    """End an account's sessions, or one of them; how many were alive."""
    statement = update(Session).where(Session.account_id == account_id, Session.revoked_at.is_(None))
    if session_id is not None:
        statement = statement.where(Session.id == session_id)
    found = await session.execute(statement.values(revoked_at=func.now()).returning(Session.id))
    return len(found.all())


async def mark_seen(session: WriteSession, seen: Mapping[str, datetime]) -> None:
    """Note when sessions were last used."""
    ordered = sorted(seen)
    await session.execute(_SEEN, {"ids": ordered, "at": [seen[session_id] for session_id in ordered]})


async def sweep(session: WriteSession) -> None:
    """Forget sessions that ended a month ago."""
    await session.execute(_SWEEP)
