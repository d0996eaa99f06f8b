"""Images take their time: the first build asks Debian and the package registry."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.images import build
from deploy.images.storage import release
from tests.images.cluster import Cluster, build_servers, cluster, unable
from tests.images.pods import Overlay

SECONDS = 1500
READY_SECONDS = 240
# By what an event goes through on its way to a profile; ALL=1 has every service.
FEW = ["gateway", "identity", "profile"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Minutes, not seconds."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture(scope="session")
def able() -> None:
    """Skips, aloud, where the machine cannot."""
    if why := unable():
        pytest.skip(f"no containers on this machine: {why}")


@pytest.fixture(scope="session")
def services() -> list[str]:
    return build.services() if os.environ.get("ALL") else FEW


@pytest.fixture(scope="session")
def images(able: None, services: list[str]) -> Iterator[dict[str, build.Made]]:
    """Each service's image by the service, freshly built."""
    try:
        found = {one.name: one for one in build.made(services)}
        build_servers()
        yield found
    finally:
        release()


@pytest.fixture(scope="session")
def overlay() -> Overlay:
    return Overlay()


@pytest.fixture(scope="session")
def running(images: dict[str, build.Made], overlay: Overlay, services: list[str]) -> Iterator[Cluster]:
    """The development overlay as an engineer applies it: servers, the Jobs of `prepare`, then the processes."""
    with cluster() as made:
        made.keep(overlay.secrets)
        made.play([*overlay.settings(), *overlay.servers().values()])
        made.ready("nats", "/healthz?js-enabled-only=true", 8222, READY_SECONDS)
        made.asked("postgres-rw", overlay.command("postgres"), READY_SECONDS)
        for jobs in (["provision"], ["streams", *(f"{name}-migrate" for name in services)]):
            made.play([*overlay.settings(), *overlay.jobs(jobs).values()])
            for job in jobs:
                made.finished(job, READY_SECONDS)
        pods = overlay.processes(services)
        made.play([*overlay.settings(), *pods.values()])
        for service in services:
            made.serve(f"{service}-api", *overlay.port_of(f"{service}-api"))
        for name in pods:
            made.ready(name, *overlay.probes(name)["readinessProbe"], READY_SECONDS)
        yield made
