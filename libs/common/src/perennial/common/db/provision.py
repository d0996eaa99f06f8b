"""Schemas and roles: per service an owner that migrates and a login that runs, which reaches nothing else.

`python -m perennial.common.db.provision [service …]`, with an administrator's URL; running it again changes nothing.
"""

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence

import asyncpg

from perennial.common import service as services

EXTENSIONS = ("pg_trgm", "btree_gist", "unaccent")
TRIES = 10


async def provision(admin_url: str, passwords: Mapping[str, tuple[str, str]]) -> None:
    """Create what is missing for each service in `passwords`: of its login and of its owner, which must differ.

    Names must be plain lower-case identifiers.
    """
    connection = await asyncpg.connect(admin_url)
    try:
        for left in reversed(range(TRIES)):
            try:
                await _provision(connection, passwords)
                break
            except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
                if not left:  # roles are the server's, the lock is the database's: somebody was at them for another
                    raise
    finally:
        await connection.close()


async def _provision(connection: asyncpg.Connection, passwords: Mapping[str, tuple[str, str]]) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(7305808869231650)")
        await _extensions(connection)
        for name, (login, owner) in passwords.items():
            await _service(connection, name, login, owner)


async def _extensions(connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE SCHEMA IF NOT EXISTS extensions")
    await connection.execute("GRANT USAGE ON SCHEMA extensions TO PUBLIC")
    await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for extension in EXTENSIONS:
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA extensions")


async def _service(connection: asyncpg.Connection, name: str, login_password: str, owner_password: str) -> None:
    if not name.isidentifier() or not name.islower():
        msg = f"{name!r} cannot be a role"
        raise ValueError(msg)
    owner, database = f"{name}_owner", await connection.fetchval("SELECT current_database()")
    if login_password == owner_password:
        msg = f"{name}: whoever runs must not know the owner's password, or nothing is append-only"
        raise ValueError(msg)
    for role, password in ((owner, owner_password), (name, login_password)):
        exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
        verb = "ALTER" if exists else "CREATE"
        secret = await connection.fetchval("SELECT quote_literal($1::text)", password)
        await connection.execute(f'{verb} ROLE "{role}" LOGIN PASSWORD {secret}')
        await connection.execute(f'ALTER ROLE "{role}" IN DATABASE "{database}" SET search_path = {name}, extensions')
    await connection.execute(f'GRANT "{owner}" TO CURRENT_USER')
    await connection.execute(f'GRANT TEMPORARY ON DATABASE "{database}" TO "{name}"')  # for previews
    for statement in _grants(name, owner):
        await connection.execute(statement)


def _grants(name: str, owner: str) -> Sequence[str]:
    defaults = f'ALTER DEFAULT PRIVILEGES FOR ROLE "{owner}" IN SCHEMA {name}'
    return (
        f'CREATE SCHEMA IF NOT EXISTS {name} AUTHORIZATION "{owner}"',
        f"REVOKE ALL ON SCHEMA {name} FROM PUBLIC",
        f'GRANT USAGE ON SCHEMA {name} TO "{name}"',
        f'{defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{name}"',
        f'{defaults} GRANT USAGE ON SEQUENCES TO "{name}"',
    )


def main() -> None:
    """Read the administrator's URL and two passwords per service from the environment."""
    parser = argparse.ArgumentParser(description="Create schemas and roles.")
    parser.add_argument("services", nargs="*", metavar="service", help="default: those that are installed")
    names = parser.parse_args().services or services.names()
    named = {name: f"PERENNIAL_DB_PASSWORD_{name.upper()}" for name in names}
    passwords = {name: (os.environ[key], os.environ[f"{key}_OWNER"]) for name, key in named.items()}
    asyncio.run(provision(os.environ["PERENNIAL_ADMIN_DATABASE_URL"], passwords))


if __name__ == "__main__":
    main()
