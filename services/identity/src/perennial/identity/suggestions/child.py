"""The process that looks for probable duplicates: it reads and opens what identity keeps sealed, and writes nothing."""

import asyncio
from multiprocessing.connection import Connection

from perennial.common.db import Database
from perennial.identity.settings import IdentitySettings, vault_of
from perennial.identity.suggestions import queries, service
from perennial.identity.suggestions.pairs import Found


def search(settings: IdentitySettings, answer: "Connection[Found, Found]") -> None:
    """Send what was found."""
    answer.send(asyncio.run(_found(settings)))


async def _found(settings: IdentitySettings) -> Found:
    from perennial.identity.suggestions.matching import Records, match  # noqa: PLC0415 (in the child only: it is large)

    database = Database.connect(settings, "suggestions")
    records = Records()
    try:
        async with database.aside() as session:
            async for record in service.records(session, vault_of(settings)):
                records.add(record)
        pairs = match(records)
        async with database.aside() as session:
            best = await queries.undecided(session, pairs, queries.MOST_PENDING)
    finally:
        await database.close()
    return Found(len(records), len(pairs), best)
