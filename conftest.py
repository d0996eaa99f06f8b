"""One Postgres and one NATS for the whole test run, started by whoever controls it.

The tests read their addresses from PERENNIAL_TEST_DATABASE_URL (with administrator's rights) and
PERENNIAL_TEST_NATS_URL; a run that finds both set starts nothing.
"""

import os
from pathlib import Path

import pytest

from perennial.local.testing import Servers

SERVERS = pytest.StashKey[Servers]()
VARIABLES = ("PERENNIAL_TEST_DATABASE_URL", "PERENNIAL_TEST_NATS_URL")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the controller; xdist's workers inherit the environment."""
    is_worker = hasattr(config, "workerinput")
    if is_worker or config.option.collectonly or all(name in os.environ for name in VARIABLES):
        return
    servers = Servers.start(Path(config.rootpath) / ".cache" / "test")
    config.stash[SERVERS] = servers
    os.environ.update(zip(VARIABLES, (servers.database_url, servers.nats_url), strict=True))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started, and remove its data."""
    servers = config.stash.get(SERVERS, None)
    if servers is not None:
        servers.stop()
        for name in VARIABLES:
            os.environ.pop(name, None)
