"""The SQL of each migration, as it was executed: no offline rendering leaves out what a migration looks up."""

import asyncio
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

from perennial.common.db import migrations, provision
from perennial.common.testing.plugin import OWNER_PASSWORD, PASSWORD

DONE = re.compile(r"(?:INSERT INTO|UPDATE) alembic_version .*?'(\d{4})'", re.DOTALL)
# What SQLAlchemy asks for itself, and reading.
ASIDE = re.compile(
    r"\s*(?:SELECT|WITH|SHOW|INSERT INTO alembic_version|UPDATE alembic_version|CREATE TABLE alembic_version)\b"
)


def spoken(service: str) -> dict[str, str]:
    """SQL by revision, in order, of every migration of a service in a database that is made for it."""
    with database(service) as owner, _heard() as statements, ThreadPoolExecutor(1) as thread:
        thread.submit(migrations.upgrade, f"perennial.{service}.migrations", owner).result()
    return dict(_by_revision(statements))


def _by_revision(statements: Sequence[str]) -> Iterator[tuple[str, str]]:
    said: list[str] = []
    for statement in statements:
        if done := DONE.match(statement):
            yield done[1], "\n".join(said)
            said = []
        elif not ASIDE.match(statement):
            said.append(f"{statement.strip().rstrip(';')};\n")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Whatever engines of this process execute meanwhile."""
    found: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append(_filled(statement, parameters))

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


def _filled(statement: str, parameters: Any) -> str:
    """Values in their places where a migration sends some."""
    for number, value in reversed(list(enumerate(parameters or (), start=1))):
        literal = "'" + str(value).replace("'", "''") + "'"
        statement = statement.replace(f"${number}", literal)
    return statement


@contextmanager
def database(service: str) -> Iterator[str]:
    """The owner's URL of a database with the service's roles and nothing in it."""
    parts, name = urlsplit(os.environ["PERENNIAL_TEST_DATABASE_URL"]), f"t_spoken_{uuid4().hex[:10]}"
    own = urlunsplit(parts._replace(path=f"/{name}"))
    asyncio.run(_admin(urlunsplit(parts), f'CREATE DATABASE "{name}" TEMPLATE template0'))
    asyncio.run(provision.provision(own, {service: (PASSWORD, OWNER_PASSWORD)}))
    address = f"{service}_owner:{OWNER_PASSWORD}@{parts.hostname}:{parts.port}"
    yield urlunsplit(parts._replace(netloc=address, path=f"/{name}"))
    asyncio.run(_admin(urlunsplit(parts), f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _admin(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()
