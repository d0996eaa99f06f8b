"""Marks of one customer in two workers' hands: whoever comes first asks all that any of them may have changed."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import text

from perennial.common.db import Database
from perennial.common.derive import derive_once
from perennial.common.ids import uuid7
from perennial.common.service import Service, ServiceRuntime
from perennial.common.settings import CommonSettings
from perennial.common.testing.events import identified, tracked
from perennial.profile.rows.service import DERIVATION

Hear = Callable[..., Awaitable[None]]
Derive = Callable[..., Awaitable[None]]


@pytest.fixture
def runtime(service: Service, settings: CommonSettings, committed: Database) -> ServiceRuntime:
    return ServiceRuntime(service, settings, committed, nats=cast("Any", None))


@pytest.mark.usefixtures("catalogue")
async def test_what_a_merge_has_marked_is_asked_though_another_worker_holds_the_mark(
    hear: Hear, assign: Hear, derive: Derive, runtime: ServiceRuntime
) -> None:
    """The tags of who was merged into somebody are held since then; looked at in part, they would begin anew."""
    old, heir, now = uuid7(), uuid7(), datetime.now(UTC)
    await hear(identified({"age": 40}, via=old, at=now), tracked("Product Viewed", via=heir, at=now))
    await derive()
    async with runtime.database.read() as session:
        since = text("SELECT since FROM customer_tag WHERE customer_id = :customer AND key = 'aged_35_to_49'")
        (before,) = (await session.execute(since, {"customer": old})).scalars()
    await assign(heir, old, version=2)
    await hear(tracked("Product Viewed", via=heir, at=now))
    async with runtime.database.write() as rival:
        held = await rival.execute(text("SELECT id FROM stale WHERE concern IS NULL FOR UPDATE"))
        assert len(held.all()) == 2, "both sides"
        async with runtime.database.write() as session:
            assert await derive_once(session, DERIVATION) == 1
    await derive()
    async with runtime.database.read() as session:
        assert (await session.execute(since, {"customer": heir})).scalars().all() == [before]
