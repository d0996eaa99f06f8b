"""Endpoints from before allow-lists go on getting what they got, and the version before still runs."""

import asyncio
import os
from types import SimpleNamespace
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from perennial.common.db import migrations, provision
from perennial.common.ids import uuid7
from perennial.common.testing.plugin import OWNER_PASSWORD, PASSWORD
from perennial.integrations.main import SERVICE

ENDPOINT = """
    INSERT INTO webhook (id, url, event_types, description, personal, disabled, failures, version)
    VALUES ($1, 'https://partner.example/', '{profile.*}', '', $2, false, 0, 1)"""
ATTEMPT = "INSERT INTO attempt (webhook_id, message_id, latency_ms, response) VALUES ($1, $1, 1, 'x')"


@pytest.fixture
async def empty() -> SimpleNamespace:
    """A database of this test's own."""
    admin, name = os.environ["PERENNIAL_TEST_DATABASE_URL"], f"t_before_{uuid4().hex[:10]}"
    parts = urlsplit(admin)
    own = urlunsplit(parts._replace(path=f"/{name}"))
    owner = parts._replace(netloc=f"integrations_owner:{OWNER_PASSWORD}@{parts.hostname}:{parts.port}", path=f"/{name}")
    connection = await asyncpg.connect(admin)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    await connection.close()
    await provision.provision(own, {SERVICE.name: (PASSWORD, OWNER_PASSWORD)})
    return SimpleNamespace(name=name, admin=admin, owner=urlunsplit(owner))


async def test_what_was_personal_sees_everything_and_what_is_made_by_old_code_nothing(empty: SimpleNamespace) -> None:
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner, "0002")
    connection = await asyncpg.connect(empty.owner)
    old, plain, new = uuid7(), uuid7(), uuid7()
    for webhook, personal in ((old, True), (plain, False)):
        await connection.execute(ENDPOINT, webhook, personal)
        await connection.execute(ATTEMPT, webhook)
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, empty.owner)
    await connection.execute(ENDPOINT, new, True)
    await connection.execute(ATTEMPT, new)
    seen = {row["id"]: row["fields"] for row in await connection.fetch("SELECT id, fields FROM webhook")}
    shown = {row["webhook_id"]: row["fields"] for row in await connection.fetch("SELECT * FROM attempt")}
    await connection.close()
    assert seen == shown == {old: ["*"], plain: [], new: []}
    dropping = await asyncpg.connect(empty.admin)
    await dropping.execute(f'DROP DATABASE "{empty.name}" WITH (FORCE)')
    await dropping.close()
