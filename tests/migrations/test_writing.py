"""What `perennial.common.db.migrations` gives a migration: bounded waits for locks, indexes beside the writers."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from perennial.common.db import migrations

ENV = "from sqlalchemy import MetaData\nfrom perennial.common.db.migrations import run_env\nrun_env(MetaData())\n"
HEAD = 'from alembic import op\nfrom perennial.common.db import migrations\nrevision = "{0}"\ndown_revision = {1}\n'
FIRST = """
def upgrade():
    op.execute("CREATE TABLE thing (id bigint, timeout text)")
    op.execute("INSERT INTO thing VALUES (1, current_setting('lock_timeout'))")
"""
SECOND = """
def upgrade():
    op.execute("INSERT INTO thing VALUES (2, current_setting('lock_timeout'))")
"""
THIRD = """
def upgrade():
    migrations.create_index_concurrently("ix_thing_id", "thing", ["id"])

def downgrade():
    migrations.drop_index_concurrently("ix_thing_id")
"""
FOURTH = SECOND.replace("(2,", "(4,")
VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_thing_id')"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A service's migrations, as a package of this test's own."""
    name = f"written_{uuid4().hex[:8]}"
    versions = tmp_path / name / "versions"
    versions.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "env.py").write_text(ENV)
    for number, body in enumerate((FIRST, SECOND, THIRD, FOURTH), start=1):
        before = repr(f"{number - 1:04d}") if number > 1 else None
        (versions / f"{number:04d}.py").write_text(HEAD.format(f"{number:04d}", before) + body)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
async def database() -> AsyncIterator[str]:
    """A database of this test's own."""
    admin, name = os.environ["PERENNIAL_TEST_DATABASE_URL"], f"t_written_{uuid4().hex[:10]}"
    connection = await asyncpg.connect(admin)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield f"{admin.rpartition('/')[0]}/{name}"
    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await connection.close()


async def test_no_revision_waits_for_a_lock_without_end(package: str, database: str) -> None:
    await asyncio.to_thread(migrations.upgrade, package, database)
    connection = await asyncpg.connect(database)
    assert [row[0] for row in await connection.fetch("SELECT timeout FROM thing ORDER BY id")] == ["5s"] * 3
    await connection.close()


async def test_writers_go_on_while_an_index_is_made(package: str, database: str) -> None:
    await asyncio.to_thread(migrations.upgrade, package, database, "0002")
    reader, writer = await asyncpg.connect(database), await asyncpg.connect(database)
    held = reader.transaction()
    await held.start()
    await reader.execute("INSERT INTO thing VALUES (3)")
    making = asyncio.create_task(asyncio.to_thread(migrations.upgrade, package, database, "0003"))
    while await writer.fetchval(VALID) is None:
        await asyncio.sleep(0.05)
    await writer.execute("INSERT INTO thing VALUES (5)", timeout=30)
    assert not making.done(), "it waits for who was there before, and nobody waits for it"
    await held.commit()
    await making
    assert await writer.fetchval(VALID) is True
    await reader.close()
    await writer.close()


async def test_a_half_made_index_is_made_again(package: str, database: str) -> None:
    await asyncio.to_thread(migrations.upgrade, package, database, "0002")
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE INDEX ix_thing_id ON thing (id)")
    await connection.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_thing_id'::regclass")
    await asyncio.to_thread(migrations.upgrade, package, database)
    assert await connection.fetchval(VALID) is True
    await connection.close()
