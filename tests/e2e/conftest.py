"""The real platform: embedded Postgres and NATS, every service a process, the gateway in front."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop

# What the stories call people by: no process may write it down.
PERSONAL = re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}|\+\d{9,15}\b")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every story may take its time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))
            # SDKs in this process leave sockets to the garbage collector, whenever that is.
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("platform")
    with Platform(home, port=0, env={"PERENNIAL_EGRESS_ALLOW_CIDRS": '["127.0.0.0/8"]'}) as running:
        yield running
    logs = sorted((home / "logs").glob("*.log"))
    assert logs
    said = {log.name: sorted(set(PERSONAL.findall(log.read_text(errors="replace"))))[:10] for log in logs}
    assert {name: found for name, found in said.items() if found} == {}, "personal data in logs"


@pytest.fixture
def shop(platform: Platform) -> Iterator[Shop]:
    made = Shop(platform.gateway_url, platform.write_key, platform.api_key)
    yield made
    made.http.close()
