"""Say anew what is derived of everybody, for a service that began to listen later.

`python -m perennial.profile.rows.announcing` reads the environment of profile's own processes. It may be stopped and
run again: whoever heard it before hears nothing new, and nobody acts on it.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row, text

from perennial.common import identity_map
from perennial.common import service as services
from perennial.common.contracts.base import Event
from perennial.common.contracts.profile import (
    ComputedTraits,
    ComputedTraitsChanged,
    CustomerStage,
    CustomerTags,
    StagesChanged,
    TagsChanged,
)
from perennial.common.db import Database, WriteSession
from perennial.common.outbox import emit
from perennial.common.runtime import Runtime
from perennial.profile.computed import queries as computed
from perennial.profile.tags.derivation import queries as tags

log = structlog.get_logger()

AT_ONCE = 500
_NEXT = text("""
    SELECT customer_id FROM customer WHERE CAST(:after AS uuid) IS NULL OR customer_id > :after
    ORDER BY customer_id LIMIT :n""")
_SHOWN = text("""
    SELECT c.customer_id, c.computed, c.tags, s.ladder, s.stage, s.since, s.version
    FROM customer AS c LEFT JOIN customer_stage AS s USING (customer_id)
    WHERE c.customer_id = ANY(:customers) ORDER BY c.customer_id""")


async def everybody(database: Database) -> int:
    """Say it of everybody, some a transaction; returns of how many."""
    said, after = 0, None
    while True:
        async with database.write() as session:
            customers = await some(session, after)
        if not customers:
            return said
        said, after = said + len(customers), customers[-1]
        log.info("profile.announced", customers=said)


async def some(session: WriteSession, after: UUID | None) -> list[UUID]:
    """Say it of the next customers by id, under their locks, so that no older state gets a later version."""
    customers = list((await session.execute(_NEXT, {"after": after, "n": AT_ONCE})).scalars())
    if customers:
        await identity_map.lock_customers(session, customers)
        rows = (await session.execute(_SHOWN, {"customers": customers})).all()
        await emit(session, *await _facts(session, rows))
    return customers


async def _facts(session: WriteSession, rows: Sequence[Row[Any]]) -> list[Event]:
    tagged, counted = [row for row in rows if row.tags], [row for row in rows if row.computed]
    standing = [row for row in rows if row.stage is not None]
    facts: list[Event] = []
    now = datetime.now(UTC)
    if tagged:
        numbers = await tags.versions(session, len(tagged))
        shown = [
            CustomerTags(customer=row.customer_id, version=number, tags=sorted(row.tags))
            for row, number in zip(tagged, numbers, strict=True)
        ]
        facts.append(TagsChanged(customers=shown, occurred_at=now))
    if counted:
        version = await computed.next_version(session)
        values = [ComputedTraits(customer=row.customer_id, traits=row.computed, version=version) for row in counted]
        facts.append(ComputedTraitsChanged(customers=values, occurred_at=now))
    if standing:
        stages = [
            CustomerStage(
                customer=row.customer_id, ladder=row.ladder, stage=row.stage, since=row.since, version=row.version
            )
            for row in standing
        ]
        facts.append(StagesChanged(customers=stages, occurred_at=now))
    return facts


async def _run() -> int:
    found = services.load("profile")
    runtime = await Runtime.open(found, found.settings())  # type: ignore[call-arg]
    try:
        await everybody(runtime.database)
    finally:
        await runtime.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_run()))
