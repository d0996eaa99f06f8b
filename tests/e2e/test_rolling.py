"""A release under load: every process is replaced, one of two at a time, and nobody outside notices."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from json import dumps
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from perennial.local.net import HOST, free_port
from perennial.local.platform import Platform
from tests.e2e.balancer import Balancer
from tests.e2e.shop import Shop, until
from tests.e2e.test_faults import exact, history

GATEWAY = "gateway"
NOTICE_SECONDS = 1.0  # between leaving the address and the signal: preStop in the manifests
BATCH, PAUSE_SECONDS = 20, 0.1


class Replica:
    """A second process of a service, beside the platform's own."""

    def __init__(self, platform: Platform, name: str, more: dict[str, str], log: Path) -> None:
        self.port = free_port()
        self._argv = [sys.executable, "-m", "perennial.common.run", name, "--port", str(self.port)]
        self._env, self._log = platform.environment_of(name) | more, log

    def start(self) -> None:
        """Return when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._argv, env=self._env, stdout=log, stderr=log)
        until(self._ready, 120, "a second process is ready")

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://{HOST}:{self.port}/readyz").is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """SIGTERM, as long as it takes."""
        self._process.terminate()
        self._process.wait(60)


class Load:
    """Batches and questions, each by a connection of its own, until it is stopped; what was not a success is kept."""

    def __init__(self, url: str, shop: Shop, orders: Sequence[dict[str, Any]], paths: Sequence[str]) -> None:
        self.failures: list[str] = []
        self.sent: list[dict[str, Any]] = []
        self.asked = 0
        self._url, self._shop, self._orders, self._paths = url, shop, list(orders), paths
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._ask)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        for start in range(0, len(self._orders), BATCH):
            if self._stopping.is_set():
                break
            batch = self._orders[start : start + BATCH]
            self._try("POST", "/v1/batch", json={"batch": batch, "context": {"import": True}},
                      auth=(self._shop.write_key, ""))  # fmt: skip
            self.sent += batch
            time.sleep(PAUSE_SECONDS)

    def _ask(self) -> None:
        while not self._stopping.is_set():
            self._try("GET", self._paths[self.asked % len(self._paths)], headers=self._shop.headers)
            self.asked += 1
            time.sleep(PAUSE_SECONDS)

    def _try(self, method: str, path: str, **more: Any) -> None:
        try:
            answer = httpx.request(method, f"{self._url}{path}", timeout=30, **more)
        except httpx.TransportError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return
        if not answer.is_success:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text}")


@contextmanager
def doubled(platform: Platform, home: Path) -> Iterator[tuple[dict[str, Balancer], dict[str, Replica]]]:
    """Two processes of each service behind an address of its own, the gateway told of these addresses."""
    ports = {name: int(row["port"]) for name, row in platform.processes().items() if row["url"].startswith("http")}
    with ExitStack() as stack:
        addresses = {name: Balancer([port]) for name, port in ports.items()}
        for address in addresses.values():
            stack.callback(address.close)
        services = dumps({name: address.url for name, address in addresses.items() if name != GATEWAY})
        more = {name: {"PERENNIAL_SERVICES": services} if name == GATEWAY else {} for name in ports}
        seconds = {name: Replica(platform, name, more[name], home / f"{name}.log") for name in ports}
        threads = [threading.Thread(target=second.start) for second in seconds.values()]
        _all(threads)
        for name, second in seconds.items():
            stack.callback(second.stop)
            addresses[name].add(second.port)
        platform.stop_process(GATEWAY)
        platform.start_process(GATEWAY, more[GATEWAY])
        yield addresses, seconds


def _all(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.timeout(600)
def test_a_release_loses_nothing_and_fails_no_request(tmp_path: Path) -> None:
    with Platform(tmp_path / "home", port=0) as platform, doubled(platform, tmp_path) as (addresses, seconds):
        url = addresses[GATEWAY].url
        shop = Shop(url, platform.write_key, platform.api_key)
        first = history(shop, users=20, each=5)
        shop.deliver(first, importing=True)
        exact(shop, first)
        customer = shop.known(first[0]["userId"])
        paths = [f"/v1/customers/{customer}", f"/v1/loyalty/accounts/{customer}", "/v1/segments", "/v1/journeys",
                 "/v1/ticket-types", "/v1/webhooks", f"/v1/customers/{customer}/identity"]  # fmt: skip
        with Load(url, shop, history(shop, users=40, each=250), paths) as load:
            _all([threading.Thread(target=_replace_second, args=(addresses[name], seconds[name])) for name in seconds])
            own = {name: int(platform.processes()[name]["port"]) for name in seconds}
            gateway = {"PERENNIAL_SERVICES": dumps({n: a.url for n, a in addresses.items() if n != GATEWAY})}
            _all([
                threading.Thread(
                    target=_replace_own,
                    args=(platform, name, addresses[name], own[name], gateway if name == GATEWAY else {}),
                )
                for name in own
            ])  # fmt: skip
        assert load.failures == []
        assert load.asked > len(paths)
        assert len(load.sent) > len(first)
        exact(shop, [*first, *load.sent])
        shop.http.close()


def _replace_second(address: Balancer, second: Replica) -> None:
    address.remove(second.port)
    time.sleep(NOTICE_SECONDS)
    second.stop()
    second.start()
    address.add(second.port)


def _replace_own(platform: Platform, name: str, address: Balancer, port: int, env: dict[str, str]) -> None:
    address.remove(port)
    time.sleep(NOTICE_SECONDS)
    platform.stop_process(name)
    platform.start_process(name, env)
    address.add(port)
