"""Reading and listing issuers of customer tokens."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, tuple_

from perennial.common.db import ReadSession
from perennial.gateway.principals.issuers.models import TokenIssuer


async def enabled(session: ReadSession) -> Sequence[TokenIssuer]:
    """Every issuer whose tokens are good."""
    return (await session.execute(select(TokenIssuer).where(TokenIssuer.enabled))).scalars().all()


async def by_id(session: ReadSession, issuer_id: str, *, for_update: bool = False) -> TokenIssuer | None:
    """One issuer."""
    return await session.get(TokenIssuer, issuer_id, with_for_update=for_update or None)


async def named(session: ReadSession, issuer: str) -> TokenIssuer | None:
    """The issuer of that `iss`."""
    return (await session.execute(select(TokenIssuer).where(TokenIssuer.issuer == issuer))).scalar_one_or_none()


async def page(session: ReadSession, limit: int, after: tuple[datetime, str] | None) -> Sequence[TokenIssuer]:
    """Issuers in the order of their creation."""
    statement = select(TokenIssuer).order_by(TokenIssuer.created_at, TokenIssuer.id).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(TokenIssuer.created_at, TokenIssuer.id) > after)
    return (await session.execute(statement)).scalars().all()
