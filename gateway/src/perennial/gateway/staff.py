"""Staff from the command line: `python -m perennial.gateway.staff add|reset …`, in the gateway's environment.

It prints a password for one login. This is how the first owner comes in, and how the last one does again.
"""

import argparse
import asyncio
import sys

from perennial.common.db import Database
from perennial.common.problems import Problem
from perennial.gateway.permissions import ROLES
from perennial.gateway.principals.accounts import queries, service
from perennial.gateway.principals.accounts.passwords import Passwords, one_time
from perennial.gateway.settings import GatewaySettings


async def add(database: Database, email: str, name: str, role: str) -> str:
    """An account's first password. Raises ValueError and Problem."""
    password, address = one_time(), service.address(email)
    hashed = await _hash(password)
    async with database.write() as session:
        await service.add(session, service.ALMIGHTY, {"email": address, "name": name or address, "role": role}, hashed)
    return password


async def reset(database: Database, email: str) -> str:
    """An account's next password; it is unlocked, and signed out everywhere. Raises ValueError and Problem."""
    password, address = one_time(), service.address(email)
    hashed = await _hash(password)
    async with database.write() as session:
        account = await queries.by_email(session, address)
        if account is None:
            raise ValueError(f"there is no account {address}")
        await service.reset(session, account.id, by=service.ALMIGHTY, hashed=hashed)
    return password


async def _hash(password: str) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


async def _run(arguments: argparse.Namespace) -> str:
    database = Database.connect(GatewaySettings(), "staff")  # type: ignore[call-arg]
    try:
        if arguments.command == "add":
            return await add(database, arguments.email, arguments.name, arguments.role)
        return await reset(database, arguments.email)
    finally:
        await database.close()


def main() -> int:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(description="Staff accounts of one deployment.")
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="add an account, and print a password for one login")
    adding.add_argument("--email", required=True)
    adding.add_argument("--name", default="")
    adding.add_argument("--role", choices=sorted(ROLES), default="owner")
    resetting = commands.add_parser("reset", help="give an account a new password for one login")
    resetting.add_argument("--email", required=True)
    try:
        password = asyncio.run(_run(parser.parse_args()))
    except (ValueError, Problem) as error:
        print(error, file=sys.stderr)  # noqa: T201 (a command)
        return 1
    print(password)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
