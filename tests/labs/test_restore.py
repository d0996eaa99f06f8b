"""Postgres is lost with everything in it: from a backup and what the broker still has, all totals come back."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from perennial.local.platform import Platform
from perennial.local.postgres import binary
from tests.e2e.shop import Shop
from tests.e2e.test_faults import deliver_all, exact, history

SERVERS = {"postgres", "nats"}


def program(name: str, *arguments: str) -> None:
    """A program of Postgres."""
    subprocess.run([str(binary(name)), *arguments], check=True, stdout=subprocess.DEVNULL)


def module(platform_env: dict[str, str], *arguments: str) -> str:
    """A command of ours, in a service's environment; what it said."""
    argv = [sys.executable, "-m", *arguments]
    done = subprocess.run(argv, env=platform_env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_backup_and_the_streams_bring_everything_back(tmp_path: Path) -> None:
    with Platform(tmp_path / "home", port=0) as platform:
        shop = Shop(platform.gateway_url, platform.write_key, platform.api_key)
        before = history(shop, users=20, each=20)
        deliver_all(shop, before, meanwhile=lambda: None)
        begun = datetime.now(UTC)  # earlier than the backup, by what the services are behind
        dump = str(tmp_path / "perennial.dump")
        program("pg_dump", "--format=custom", "--create", f"--file={dump}", platform.database_url)
        taken = datetime.now(UTC)
        after = history(shop, users=30, each=20)
        deliver_all(shop, after, meanwhile=lambda: None)
        exact(shop, [*before, *after])

        names = [name for name in platform.processes() if name not in SERVERS]
        envs = {name: platform.environment_of(name) for name in names}
        for name in ["gateway", *(name for name in names if name != "gateway")]:
            platform.stop_process(name)
        admin = platform.database_url.rpartition("/")[0] + "/postgres"
        program("pg_restore", "--clean", "--if-exists", "--create", f"--dbname={admin}", dump)
        module(envs["identity"], "perennial.common.recover", begun.isoformat())
        for name in names:
            module(envs[name], "perennial.common.operate", name, "republish", begun.isoformat(), taken.isoformat())
        for name in names:
            platform.start_process(name)
        exact(shop, [*before, *after])
        module(envs["loyalty"], "perennial.common.run", "loyalty", "--job", "verify-ledger")
        shop.http.close()
