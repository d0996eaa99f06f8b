"""A table of common that came later: a schema that is older gets it by a revision of its own."""

import asyncio
from importlib import resources
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from perennial.common import service as services
from perennial.common.db import migrations
from perennial.common.testing.plugin import PASSWORD
from tests.migrations.spoken import database


@pytest.mark.parametrize("name", services.names())
def test_an_older_schema_learns_to_remember_jobs(name: str) -> None:
    package = f"perennial.{name}.migrations"
    paths = resources.files(package).joinpath("versions").iterdir()
    revision = next(path.name[:4] for path in paths if path.name.endswith("_jobs.py"))
    with database(name) as owner:
        migrations.upgrade(package, owner, f"{int(revision) - 1:04d}")
        asyncio.run(_execute(owner, "DROP TABLE IF EXISTS job"))
        migrations.upgrade(package, owner, revision)
        parts = urlsplit(owner)
        login = urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD}@{parts.hostname}:{parts.port}"))
        asyncio.run(_execute(login, "INSERT INTO job (name, began_at, tries) VALUES ('sweep', now(), 1)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
