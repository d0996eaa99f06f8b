"""Bring schemas up to date: `python -m perennial.common.db.migrate <service>… | --all [--revise MESSAGE | --check]`."""

import argparse
import os

from perennial.common import service as services
from perennial.common.db import migrations


def owner_url(name: str) -> str:
    """The URL of a service's owner: `PERENNIAL_OWNER_DATABASE_URL_<SERVICE>`, else `PERENNIAL_OWNER_DATABASE_URL`."""
    url = os.environ.get(f"PERENNIAL_OWNER_DATABASE_URL_{name.upper()}") or os.environ.get(
        "PERENNIAL_OWNER_DATABASE_URL"
    )
    if not url:
        msg = f"PERENNIAL_OWNER_DATABASE_URL_{name.upper()} is not set"
        raise SystemExit(msg)
    return url


def main() -> None:
    """Upgrade the named schemas, one after the other."""
    parser = argparse.ArgumentParser(description="Migrate schemas.")
    parser.add_argument("services", nargs="*", metavar="service")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--revise", metavar="MESSAGE", help="write the next revision from the models")
    parser.add_argument("--check", action="store_true", help="fail when models and migrations differ")
    arguments = parser.parse_args()
    for name in services.names() if arguments.all else arguments.services:
        package = f"perennial.{name}.migrations"
        if arguments.revise:
            migrations.revise(package, owner_url(name), arguments.revise)
        elif arguments.check:
            migrations.check(package, owner_url(name))
        else:
            migrations.upgrade(package, owner_url(name))


if __name__ == "__main__":
    main()
