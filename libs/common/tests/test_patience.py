"""What a job reads of whole tables may take longer than anybody else waits."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from perennial.common.db import fetch_patiently
from perennial.common.db.sessions import Database

SECONDS = 4  # to fail by it, everything else here would have to take that long


async def test_a_job_outlasts_the_time_that_others_have(database_urls: Any) -> None:
    url = database_urls.login.replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(url, connect_args={"command_timeout": SECONDS})
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("SELECT 1"))
        statement = "SELECT CAST(:said AS text) AS said, :said AS again FROM pg_sleep(:seconds)"
        [row] = await fetch_patiently(session, statement, {"said": "茶", "seconds": SECONDS + 0.5, "more": 1})
        assert dict(row) == {"said": "茶", "again": "茶"}
    await engine.dispose()


async def test_it_is_part_of_a_transaction(committed: Database) -> None:
    async with committed.write() as session:
        await session.execute(text("CREATE TEMP TABLE drawer (n int) ON COMMIT DROP"))
        await session.execute(text("INSERT INTO drawer VALUES (1), (2)"))
        rows = await fetch_patiently(session, "SELECT n FROM drawer WHERE n > :least", {"least": 1})
        assert [row["n"] for row in rows] == [2]
        with pytest.raises(asyncpg.UndefinedTableError):
            await fetch_patiently(session, "SELECT 1 FROM nothing")
        await session.rollback()
