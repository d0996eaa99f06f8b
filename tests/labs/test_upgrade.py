"""The processes of the version before run on the schema of this one, beside its processes, until each is replaced."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from perennial.local.platform import Platform
from tests.e2e.shop import Shop, totals, until
from tests.e2e.test_faults import deliver_all, exact, history

ROOT = Path(__file__).parents[2]
SERVERS = {"postgres", "nats"}


def git(*arguments: str) -> str:
    """What git says; nothing when it knows no answer."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def before() -> str:
    """PERENNIAL_UPGRADE_FROM, else the newest tag before this commit, else the commit before it."""
    return os.environ.get("PERENNIAL_UPGRADE_FROM") or git("describe", "--tags", "--abbrev=0", "HEAD~1") or "HEAD~1"


@pytest.fixture
def older(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment in which python finds the older sources, with the packages of today."""
    revision, tree = before(), tmp_path / "older"
    assert git("rev-parse", revision), f"no revision {revision}: the labs need a clone with its history"
    git("worktree", "add", "--detach", str(tree), revision)
    assert (tree / "libs").is_dir()
    sources = [tree / "libs/common/src", tree / "gateway/src", *sorted(tree.glob("services/*/src"))]
    yield {"PYTHONPATH": os.pathsep.join(map(str, sources))}
    git("worktree", "remove", "--force", str(tree))


def define(shop: Shop) -> None:
    """A computed trait: what is worked out behind the events."""
    body = {"key": "orders_made", "label": {"en": "Orders"}, "function": "count", "events": ["Order Completed"]}
    shop.post("/v1/computed-traits", body, key=f"{shop.mark}-define", expect=201)


def derived(shop: Shop, orders: Sequence[dict[str, Any]]) -> None:
    """It says as much as was sent."""
    user, (count, _, _) = next(iter(totals(orders).items()))
    path = f"/v1/customers/{shop.known(user)}"
    until(lambda: shop.get(path)["attributes"]["computed"].get("orders_made") == count, 120, "computed traits")


def test_the_version_before_runs_on_the_schema_of_this_one(tmp_path: Path, older: dict[str, str]) -> None:
    with Platform(tmp_path / "home", port=0) as platform:
        names = [name for name in platform.processes() if name not in SERVERS]
        for name in names:  # migrations have run; from here on it is the older code
            platform.stop_process(name)
        for name in names:
            platform.start_process(name, older)
        shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
        define(shop)
        first = history(shop, users=20, each=20)
        deliver_all(shop, first, meanwhile=lambda: None)
        exact(shop, first)
        derived(shop, first)

        def release() -> None:
            for name in [*(name for name in names if name != "gateway"), "gateway"]:
                platform.stop_process(name)
                platform.start_process(name)

        second = history(shop, users=20, each=40)
        deliver_all(shop, second, meanwhile=release)
        exact(shop, [*first, *second])
        derived(shop, [*first, *second])
        shop.http.close()
