"""Fixtures of the tests of tags."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from perennial.common import identity_map
from perennial.common.db import WriteSession
from perennial.common.derive import Stale
from perennial.common.runtime import Runtime
from perennial.common.timers import Timer
from perennial.profile.computed import standard
from perennial.profile.rows import service as rows
from perennial.profile.tags import main
from perennial.profile.tags.words import service as words

Shown = Callable[[], Awaitable[dict[UUID, set[str]]]]


async def standard_set(session: WriteSession) -> None:
    """A test on real commits has emptied it away."""
    for row in standard.seeds():
        if row["digest"]:
            await session.execute(text(standard.SEED_FEED), {name: row[name] for name in ("digest", "feed")})
        bound = {name: row[name] for name in ("key", "labels", "spec", "digest")}
        await session.execute(text(standard.SEED), bound)


@pytest.fixture
async def catalogue(runtime: Runtime) -> None:
    """The catalogue, the topics and the ladders, as a worker brings them in; computed traits as the migration does."""
    await main.seed(runtime)
    async with runtime.database.write() as session:
        await standard_set(session)
        await session.execute(text("DELETE FROM timer"))


@pytest.fixture
def listen(runtime: Runtime) -> Callable[[], Awaitable[None]]:
    """`await listen()`: whatever was said is analysed now."""

    async def listened() -> None:
        async with runtime.database.write() as session:
            while await words.hear(session):
                pass

    return listened


@pytest.fixture
def derive_at(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """`await derive_at(instant, customer, …)`: they, or everybody, are derived as if it were then."""

    async def derived(now: datetime, *some: UUID) -> None:
        async with runtime.database.write() as session:
            found = await session.execute(text("SELECT via FROM identity_map WHERE via = customer_id"))
            customers = list(some or found.scalars())
            await identity_map.lock_customers(session, customers)
            await session.execute(text("DELETE FROM stale"))
            await rows.compute(session, Stale(dict.fromkeys(customers, True), []), now)

    return derived


@pytest.fixture
def fire(runtime: Runtime) -> Callable[..., Awaitable[list[str]]]:
    """`await fire()`: the handlers of the timers of today run until none is due; returns the kinds that ran."""

    async def fired(*kinds: str, until: datetime | None = None) -> list[str]:
        ran = []
        async with runtime.database.write() as session:
            while rows_ := (
                await session.execute(
                    text("DELETE FROM timer WHERE kind = ANY(:kinds) AND due_at <= :until RETURNING *"),
                    {"kinds": list(kinds or main.TIMERS), "until": until or datetime.now(UTC)},
                )
            ).all():
                for row in rows_:
                    timer = Timer(row.kind, row.key, row.due_at, row.payload, row.partition)
                    await main.TIMERS[row.kind](session, [timer])
                    ran.append(row.kind)
        return ran

    return fired


@pytest.fixture
def shown(runtime: Runtime) -> Shown:
    """`await shown()`: the tags in each customer's row."""

    async def tags() -> dict[UUID, set[str]]:
        async with runtime.database.read() as session:
            found = await session.execute(text("SELECT customer_id, tags FROM customer"))
            return {row.customer_id: set(row.tags) for row in found}

    return tags


@pytest.fixture
def told(runtime: Runtime) -> Callable[[str], Awaitable[list[dict[str, Any]]]]:
    """`await told(subject)`: the bodies of facts in the outbox, in order."""

    async def bodies(subject: str) -> list[dict[str, Any]]:
        async with runtime.database.read() as session:
            statement = text("SELECT body FROM outbox WHERE subject = :subject ORDER BY id")
            found = (await session.execute(statement, {"subject": subject})).scalars().all()
        return [json.loads(bytes(body)) for body in found]

    return bodies
