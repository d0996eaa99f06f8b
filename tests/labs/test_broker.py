"""Three brokers, three copies of each stream: whichever dies or stands still, nothing acknowledged is lost."""

import signal
import time
from collections.abc import Iterator

import pytest

from perennial.common.contracts.gateway import SUBJECT
from perennial.local.platform import Platform
from tests.e2e.shop import Shop
from tests.e2e.test_faults import deliver_all, exact, history
from tests.labs.servers import Brokers, brokers, wait

SERVICES = ("identity", "profile", "segments", "loyalty")
CUT_OFF_SECONDS = 15


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with brokers(tmp_path_factory.mktemp("brokers")) as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, cluster: Brokers) -> Iterator[Platform]:
    env = {"NATS_URL": cluster.url, "PERENNIAL_STREAM_REPLICAS": "3"}
    with Platform(tmp_path_factory.mktemp("platform"), port=0, services=SERVICES, env=env) as running:
        yield running


@pytest.fixture
def shop(platform: Platform) -> Iterator[Shop]:
    made = Shop(platform.gateway_url, platform.write_key, platform.api_key)
    yield made
    made.http.close()


@pytest.mark.parametrize("stream", ["INGEST", "EVENTS"])
def test_the_leader_of_a_stream_is_killed_under_load(cluster: Brokers, shop: Shop, stream: str) -> None:
    orders = history(shop, users=40, each=50)

    def kill() -> None:
        name = cluster.leader(stream)
        cluster.nodes[name].kill()
        time.sleep(5)
        cluster.nodes[name].start()

    deliver_all(shop, orders, meanwhile=kill)
    exact(shop, orders)
    for node in cluster.nodes.values():
        wait(node.ready, f"broker {node.program.name} again")


def test_the_leader_of_intake_stands_still_as_if_it_were_cut_off(cluster: Brokers, shop: Shop) -> None:
    orders = history(shop, users=40, each=50)

    def freeze() -> None:
        node = cluster.nodes[cluster.leader("INGEST")]
        node.send(signal.SIGSTOP)
        time.sleep(CUT_OFF_SECONDS)
        node.send(signal.SIGCONT)

    deliver_all(shop, orders, meanwhile=freeze)
    exact(shop, orders)


def test_a_leader_cut_off_from_the_others_acknowledges_nothing(cluster: Brokers, shop: Shop) -> None:
    """Its clients still reach it: what it would take, the others would never have."""
    orders = history(shop, users=40, each=50)
    seen: list[object] = []

    def cut() -> None:
        name = cluster.leader("INGEST")
        cluster.cut_off(name)
        try:
            time.sleep(CUT_OFF_SECONDS)
            seen.extend([cluster.acknowledged(name, SUBJECT), cluster.leader("INGEST", but=name) != name])
        finally:
            cluster.mend()

    deliver_all(shop, orders, meanwhile=cut)
    exact(shop, orders)
    assert seen == [False, True]
