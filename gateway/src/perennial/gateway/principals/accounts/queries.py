"""Reading and listing staff accounts."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_

from perennial.common.db import ReadSession
from perennial.gateway.principals.accounts.models import Account
from perennial.gateway.principals.sessions.models import Attempt

OWNER = "owner"


async def by_id(session: ReadSession, account_id: str, *, for_update: bool = False) -> Account | None:
    """One account, as it is now."""
    return await session.get(Account, account_id, with_for_update=for_update or None, populate_existing=for_update)


async def by_email(session: ReadSession, email: str) -> Account | None:
    """The account of a normalised address."""
    return (await session.execute(select(Account).where(Account.email == email))).scalar_one_or_none()


async def page(session: ReadSession, limit: int, after: tuple[datetime, str] | None) -> Sequence[Account]:
    """Accounts in the order of their creation."""
    statement = select(Account).order_by(Account.created_at, Account.id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(Account.created_at, Account.id) > after)
    return (await session.execute(statement)).scalars().all()


async def locked_until(session: ReadSession, account_ids: Sequence[str]) -> dict[str, datetime]:
    """Which of the accounts are locked out, and until when."""
    rows = await session.execute(
        select(Attempt.key, Attempt.locked_until).where(
            Attempt.key.in_(account_ids), Attempt.locked_until > func.clock_timestamp()
        )
    )
    return {row.key: row.locked_until for row in rows}


async def other_owners(session: ReadSession, account_id: str) -> int:
    """How many other owners can sign in."""
    statement = select(func.count()).where(Account.role == OWNER, Account.disabled.is_(False), Account.id != account_id)
    return int((await session.execute(statement)).scalar_one())
