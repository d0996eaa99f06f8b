"""Readiness: the servers answer, and what is on them is what this code needs."""

from collections.abc import AsyncIterator

import pytest
from nats.js.client import JetStreamContext
from sqlalchemy import text

from perennial.common import ready
from perennial.common.contracts.identity import RESOLVED_STREAM
from perennial.common.messaging.worker import hot_durable
from perennial.common.ready import needed, readiness
from perennial.common.service import ServiceRuntime


@pytest.fixture
async def migrated(live_runtime: ServiceRuntime) -> AsyncIterator[ServiceRuntime]:
    """What a migration leaves: the tests of this package make their tables from models."""
    async with live_runtime.database.write() as session:
        await session.execute(text("INSERT INTO alembic_version (version_num) VALUES ('0003')"))
    yield live_runtime
    async with live_runtime.database.write() as session:
        await session.execute(text("DELETE FROM alembic_version"))


async def test_a_schema_may_be_newer_than_the_code_but_not_older(
    migrated: ServiceRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("", "0002", "0003"):
        monkeypatch.setattr(ready, "needed", lambda _, code=code: code)
        assert await readiness(migrated) == {"nats": "ok", "database": "ok"}
    monkeypatch.setattr(ready, "needed", lambda _: "0004")
    assert "at 0003, this code needs 0004" in (await readiness(migrated))["database"]


async def test_a_worker_is_ready_when_its_consumers_are_there(live_runtime: ServiceRuntime) -> None:
    live_runtime.works = True
    js: JetStreamContext = live_runtime.js
    durable = hot_durable(live_runtime.name, 0)
    await js.delete_consumer(RESOLVED_STREAM, durable)
    assert durable in (await readiness(live_runtime))["streams"]
    live_runtime.works = False
    assert "streams" not in await readiness(live_runtime), "an API needs none"


async def test_what_was_found_once_is_not_asked_for_again(live_runtime: ServiceRuntime) -> None:
    live_runtime.works = True
    assert (await readiness(live_runtime))["streams"] == "ok"
    assert live_runtime.streams_found
    assert "streams" not in await readiness(live_runtime)


def test_the_needed_revision_is_the_newest_of_the_package() -> None:
    assert needed("gateway") >= "0008"
    assert needed("nobody") == ""
