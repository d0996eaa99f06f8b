"""The upgrade that divides events by month: the version before writes on, and nothing is lost either way."""

import asyncio
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import alembic.command
import asyncpg
import pytest

from perennial.common.db import migrations, provision
from perennial.common.testing.plugin import OWNER_PASSWORD, PASSWORD
from perennial.segments.main import SERVICE

# As the version before writes.
WRITE = """
    INSERT INTO event (id, via, name, at, properties)
    SELECT uuid, uuid, 'Seen', now() + make_interval(days => days), '{}'
    FROM unnest($1::uuid[], $2::int[]) AS r (uuid, days)
    ON CONFLICT (id) DO NOTHING"""
SAME = WRITE.replace("(id) DO", "DO")
DAYS = [-700, -40, 0, 0, 100, 4000]
HELD = "SELECT count(*), count(DISTINCT id), count(DISTINCT tableoid) FROM event"


async def counted(connection: asyncpg.Connection) -> tuple[int, ...]:
    """Events, different ones, and the parts that hold any."""
    [row] = await connection.fetch(HELD)
    return tuple(row)


@pytest.fixture
async def fresh() -> AsyncIterator[SimpleNamespace]:
    """A database of this test's own, by the owner and by the login role."""
    admin, name = os.environ["PERENNIAL_TEST_DATABASE_URL"], f"t_divided_{uuid4().hex[:10]}"
    parts = urlsplit(admin)

    def url(role: str, password: str) -> str:
        return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}", path=f"/{name}"))

    connection = await asyncpg.connect(admin)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    own = urlunsplit(parts._replace(path=f"/{name}"))
    await provision.provision(own, {SERVICE.name: (PASSWORD, OWNER_PASSWORD)})
    yield SimpleNamespace(owner=url("segments_owner", OWNER_PASSWORD), login=url("segments", PASSWORD))
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


async def test_a_table_with_events_is_divided_an_hour_later_and_united_again(fresh: SimpleNamespace) -> None:
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, fresh.owner, "0006")
    owner = await asyncpg.connect(fresh.owner)
    login = await asyncpg.connect(fresh.login)
    ids = [uuid4() for _ in DAYS]
    await login.execute(WRITE, ids, DAYS)
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, fresh.owner)
    assert await login.fetchval("SELECT divide_events()") is False
    await login.execute(WRITE, [*ids, uuid4()], [*DAYS, 0])
    await login.execute(SAME, ids, DAYS)
    assert await counted(login) == (7, 7, 1)

    await owner.execute("UPDATE event_keeping SET divide_after = now()")
    assert await login.fetchval("SELECT divide_events()") is True
    assert await login.fetchval("SELECT divide_events()") is False
    assert await counted(login) == (7, 7, 2), "what is to come lies in no month yet"
    assert await login.fetchval("SELECT sum(make_event_month(month)::int) FROM wanted_event_months() AS month") == 2
    analysed = """
        SELECT bool_or(attstattarget IS DISTINCT FROM 0) FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
        WHERE attname = 'properties' AND relkind = 'r' AND relname LIKE 'event_20%'"""
    assert await login.fetchval(analysed) is False, "documents are not analysed, in new months neither"
    again = await login.fetch("SELECT id, at FROM event")
    repeat = (
        "INSERT INTO event SELECT id, id, 'Seen', at, '{}' FROM unnest($1::uuid[], $2::timestamptz[]) AS r (id, at)"
    )
    await login.execute(f"{repeat} ON CONFLICT DO NOTHING", [row["id"] for row in again], [row["at"] for row in again])
    assert (await counted(login))[0] == 7
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await login.fetch("SELECT * FROM event_before")

    assert await login.fetchval("SELECT drop_event_month('400 days')") is None, "it reaches to the end of this month"
    await login.execute("DELETE FROM event WHERE id = $1", ids[0])
    await login.close()
    await asyncio.to_thread(alembic.command.downgrade, migrations.config(SERVICE.migrations, fresh.owner), "0006")
    assert await counted(owner) == (6, 6, 1)
    await owner.execute(WRITE, ids, DAYS)
    assert (await counted(owner))[0] == 7
    await owner.close()


async def test_the_functions_of_the_owner_heed_no_temporary_table(fresh: SimpleNamespace) -> None:
    await asyncio.to_thread(migrations.upgrade, SERVICE.migrations, fresh.owner)
    owner = await asyncpg.connect(fresh.owner)
    settings = await owner.fetch(
        "SELECT proname, proconfig FROM pg_proc WHERE prosecdef AND pronamespace = 'segments'::regnamespace"
        " AND proname LIKE '%event%'"
    )
    await owner.close()
    assert len(settings) == 5
    assert {path for row in settings for path in row["proconfig"] if path.startswith("search_path")} == {
        "search_path=segments, pg_temp"
    }
