"""The probe service's fixtures."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from perennial.common.db import migrations
from perennial.common.service import Service
from perennial.common.testing.plugin import *  # noqa: F403
from perennial.common.testing.probe import PROBE, metadata


@pytest.fixture(scope="session")
def service() -> Service:
    return PROBE


@pytest.fixture(scope="session")  # type: ignore[no-redef]
def build_schema() -> Callable[[str], None]:
    """The probe has no migrations: its tables are made from the models."""

    def build(url: str) -> None:
        async def create() -> None:
            engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
            async with engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
                await connection.run_sync(migrations.chain_audit)
                await connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
            await engine.dispose()

        asyncio.run(create())

    return build
