"""The schema and the partitions of decisions."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from sqlalchemy import text

from perennial.common.db import Database, WriteSession, migrations
from perennial.common.runtime import Runtime
from perennial.identity.decisions import queries
from perennial.identity.decisions.service import HORIZON, week_of
from perennial.identity.jobs import turn_weeks


async def weeks(session: WriteSession) -> list[int]:
    found = await session.execute(
        text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' AND relname LIKE 'decision_%'")
    )
    return sorted(int(name.removeprefix("decision_")) for name in found.scalars())


async def test_models_and_migrations_agree(database_urls: SimpleNamespace) -> None:
    await asyncio.to_thread(migrations.check, "perennial.identity.migrations", database_urls.owner)


async def test_partitions_come_ahead_and_go_when_the_horizon_has_passed(
    session: WriteSession, runtime: Runtime
) -> None:
    now = datetime.now(UTC)
    oldest_needed = week_of(now - HORIZON)
    for week in (oldest_needed - 2, oldest_needed - 1, oldest_needed):
        await queries.ensure_week(session, week)
        await queries.ensure_week(session, week)
    await turn_weeks(runtime)
    assert await weeks(session) == [oldest_needed, *range(week_of(now), week_of(now) + 3)]


async def test_a_decision_is_found_in_whatever_week_it_was_made(session: WriteSession) -> None:
    now = datetime.now(UTC)
    for age in range(0, 36, 7):
        week = week_of(now - timedelta(days=age))
        await queries.ensure_week(session, week)
        await session.execute(
            text("INSERT INTO decision VALUES (gen_random_uuid(), :week, gen_random_uuid(), 1)"), {"week": week}
        )
    ids = list((await session.execute(text("SELECT id FROM decision"))).scalars())
    assert set(await queries.decided(session, ids)) == set(ids)


async def test_two_processes_may_make_the_same_partition(committed: Database) -> None:
    week = week_of(datetime.now(UTC)) + 40

    async def make() -> None:
        async with committed.write() as session:
            await queries.ensure_week(session, week)

    await asyncio.gather(*(make() for _ in range(5)))
    async with committed.write() as session:
        assert week in await weeks(session)
        await session.execute(text("SELECT drop_decision_weeks(0)"))


async def test_no_temporary_table_poses_as_one_of_ours_to_the_functions_of_the_owner(session: WriteSession) -> None:
    week = week_of(datetime.now(UTC)) + 60
    await session.execute(text(f"CREATE TEMPORARY TABLE decision_{week} (id uuid) ON COMMIT DROP"))
    await queries.ensure_week(session, week)
    made = await session.execute(text(f"SELECT to_regclass('identity.decision_{week}') IS NOT NULL"))
    assert made.scalar_one()
    found = await session.execute(
        text("""SELECT proname, array_to_string(proconfig, ' ') FROM pg_proc
                WHERE prosecdef AND pronamespace = CAST('identity' AS regnamespace)""")
    )
    functions = {row[0]: row[1] for row in found}
    assert {"ensure_decision_week", "drop_decision_weeks"} <= functions.keys()
    assert all("pg_temp" in settings.split("lock_timeout")[0].split(",")[-1] for settings in functions.values())
