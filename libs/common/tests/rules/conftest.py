"""A schema of its own with the fact tables."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Uuid, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from perennial.common.rules.facts import fact_tables


@pytest.fixture(scope="session")
async def facts_engine() -> AsyncIterator[AsyncEngine]:
    url = os.environ["PERENNIAL_TEST_DATABASE_URL"].replace("postgresql:", "postgresql+asyncpg:")
    schema = f"rules_{uuid4().hex[:12]}"
    settings = {"search_path": schema, "timezone": "Asia/Shanghai"}  # a zone that is not UTC shows what depends on it
    engine = create_async_engine(url, connect_args={"server_settings": settings})
    metadata = MetaData()
    fact_tables(metadata)
    Table(
        "identity_map",
        metadata,
        Column("via", Uuid, primary_key=True),
        Column("customer_id", Uuid, nullable=False, index=True),
        Column("version", BigInteger, nullable=False),
    )
    Table(
        "membership",
        metadata,
        Column("segment_id", Uuid, primary_key=True),
        Column("customer_id", Uuid, primary_key=True),
    )
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE SCHEMA {schema}"))
        await connection.run_sync(metadata.create_all)
        for table in metadata.tables:  # what is rolled back again and again would be taken for an empty table
            await connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
    yield engine
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await engine.dispose()


@pytest.fixture(scope="session")
async def facts_connection(facts_engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with facts_engine.connect() as connection:
        yield connection


@pytest.fixture
async def facts(facts_connection: AsyncConnection) -> AsyncIterator[AsyncSession]:
    """A session on the empty fact tables; what it writes is gone afterwards."""
    outer = await facts_connection.begin()
    async with AsyncSession(facts_connection, join_transaction_mode="create_savepoint") as session:
        yield session
    await outer.rollback()
