"""A primary and two standbys: the services follow a fail-over by themselves, and nothing acknowledged is lost."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, totals, until
from tests.e2e.test_faults import deliver_all, exact, history
from tests.labs.servers import Databases, databases

SERVICES = ("identity", "profile", "segments", "loyalty")


@contextmanager
def running(home: Path, cluster: Databases) -> Iterator[Shop]:
    """The platform on a cluster."""
    home.mkdir()
    with Platform(home, port=0, services=SERVICES, env={"DATABASE_URL": cluster.url}) as platform:
        shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
        try:
            yield shop
        finally:
            shop.http.close()


def missing(shop: Shop, orders: Sequence[dict[str, Any]]) -> int:
    """How many orders are shown nowhere."""
    return sum(count - shop.orders_of(user)[0] for user, (count, _, _) in totals(orders).items())


def test_a_synchronous_standby_takes_over_under_load(tmp_path: Path) -> None:
    with databases(tmp_path, synchronous=True) as cluster, running(tmp_path / "home", cluster) as shop:
        before = history(shop, users=10, each=20)
        deliver_all(shop, before, meanwhile=lambda: None)
        orders = history(shop, users=40, each=50)
        deliver_all(shop, orders, meanwhile=cluster.fail_over)
        exact(shop, [*before, *orders])


def test_without_one_a_fail_over_may_lose_what_was_shown(tmp_path: Path) -> None:
    """The control: what the other test proves does not come by itself."""
    with databases(tmp_path, synchronous=False) as cluster, running(tmp_path / "home", cluster) as shop:
        first = history(shop, users=5, each=10)
        deliver_all(shop, first, meanwhile=lambda: None)
        exact(shop, first)
        cluster.receivers(signal.SIGSTOP)
        lost = history(shop, users=5, each=10)
        deliver_all(shop, lost, meanwhile=lambda: None)
        exact(shop, [*first, *lost])
        cluster.fail_over()
        until(lambda: shop.try_get("/v1/customers"), what="the gateway on the new primary")
        assert missing(shop, [*first, *lost]) > 0
