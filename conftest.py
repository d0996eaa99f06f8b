"""One Postgres and a NATS for each worker of the test run, started by whoever controls it.

The tests read their addresses from PERENNIAL_TEST_DATABASE_URL (with administrator's rights) and
PERENNIAL_TEST_NATS_URL; a run that finds both set starts nothing. PERENNIAL_NEW_EXAMPLES has hypothesis search anew.
"""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from perennial.local.testing import Servers

SERVERS = pytest.StashKey[Servers]()
DATABASE, BROKER, BROKERS = "PERENNIAL_TEST_DATABASE_URL", "PERENNIAL_TEST_NATS_URL", "PERENNIAL_TEST_NATS_URLS"

# A revision that passed passes again: `make test` takes the same examples each time, `make fuzz` others.
settings.register_profile("same", derandomize=True)
if "PERENNIAL_NEW_EXAMPLES" not in os.environ:
    settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers in the controller; xdist's workers inherit the environment and take a broker each."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        brokers = os.environ.get(BROKERS, "").split()
        if brokers:
            os.environ[BROKER] = brokers[int(worker["workerid"].removeprefix("gw")) % len(brokers)]
        return
    if config.option.collectonly or {DATABASE, BROKER} <= os.environ.keys():
        return
    workers = config.getoption("numprocesses", None) or 1
    servers = Servers.start(Path(config.rootpath) / ".cache" / "test", brokers=int(workers))
    config.stash[SERVERS] = servers
    os.environ[DATABASE], os.environ[BROKER] = servers.database_url, servers.nats_urls[0]
    os.environ[BROKERS] = " ".join(servers.nats_urls)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started, and remove its data."""
    servers = config.stash.get(SERVERS, None)
    if servers is not None:
        servers.stop()
        for name in (DATABASE, BROKER, BROKERS):
            os.environ.pop(name, None)
