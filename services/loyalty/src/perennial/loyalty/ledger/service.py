"""Verifying the ledger in one snapshot, while it is in use."""

import structlog
from sqlalchemy import text

from perennial.common.db import Database, ReadSession
from perennial.loyalty.ledger import queries

log = structlog.get_logger()


class LedgerBroken(Exception):  # noqa: N818 (what it says)
    """The books do not balance; the message names the rule and the first bad row of each."""


async def verify(database: Database) -> None:
    """Check every rule at one instant. Raises LedgerBroken."""
    async with database.read() as session:
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        await prove(session)


async def prove(session: ReadSession) -> None:
    """Check every rule in the session's transaction. Raises LedgerBroken."""
    faults = await queries.faults(session)
    if faults:
        named = [f"{rule}: " + ", ".join(f"{name}={value}" for name, value in row.items()) for rule, row in faults]
        raise LedgerBroken("; ".join(named))
    row = await queries.size(session)
    log.info("ledger.verified", postings=row["postings"], lots=row["lots"], balance=int(row["balance"]))
