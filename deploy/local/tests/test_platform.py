"""The platform as a person or a test drives it: real processes, one service next to the gateway."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from perennial.local.nats import Nats
from perennial.local.net import HOST, free_port, http_status
from perennial.local.platform import Platform
from perennial.local.postgres import Postgres
from perennial.local.state import Mark
from perennial.local.supervisor import StartError, Supervisor


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    env = {"PERENNIAL_DEV_WRITE_KEY": "wk_mine"}
    with Platform(tmp_path_factory.mktemp("home"), port=0, services=["loyalty"], env=env) as platform:
        yield platform


def _gone(mark: Mark) -> bool:
    return mark.process() is None


def _command(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", "perennial.local", *words)
    environment = {**os.environ, "PERENNIAL_HOME": str(home), **env}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_all_is_ready(platform: Platform) -> None:
    processes = platform.processes()
    assert {name: row["status"] for name, row in processes.items()} == dict.fromkeys(
        ("postgres", "nats", "gateway", "loyalty"), "ready"
    )
    for name in ("gateway", "loyalty"):
        assert asyncio.run(http_status(processes[name]["port"], "/readyz")) == 200
    assert platform.gateway_url == processes["gateway"]["url"]
    assert (platform.write_key, platform.api_key[:3]) == ("wk_mine", "ak_")


def test_a_login_reaches_its_own_schema_only(platform: Platform) -> None:
    async def schemas() -> list[str]:
        connection = await asyncpg.connect(platform.database_url)
        rows = await connection.fetch(
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege('loyalty', oid, 'USAGE')"
        )
        await connection.close()
        return [row["nspname"] for row in rows]

    assert set(asyncio.run(schemas())) - {"pg_catalog", "information_schema", "public"} == {"loyalty", "extensions"}


def test_a_login_cannot_become_the_owner(platform: Platform) -> None:
    """Or nothing would be append-only."""
    password = platform.environment_of("loyalty")["PERENNIAL_DATABASE_URL"].split(":")[2].split("@")[0]
    parts = urlsplit(platform.database_url)

    async def login(role: str) -> None:
        connection = await asyncpg.connect(
            host=parts.hostname, port=parts.port, user=role, password=password, database=parts.path[1:]
        )
        await connection.close()

    asyncio.run(login("loyalty"))
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(login("loyalty_owner"))


def test_starting_twice_says_where_it_runs(platform: Platform) -> None:
    again = _command(platform.home.path, "up")
    assert again.returncode == 1
    assert f"already runs: {platform.gateway_url}" in again.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=f"port {port} is taken"):
            Platform(tmp_path / "home", port=port).start()
    assert not (tmp_path / "home" / "state.json").exists()


def test_a_server_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    env = {"DATABASE_URL": "postgresql://postgres:x@127.0.0.1:9/shop", "NATS_URL": "nats://127.0.0.1:9"}
    with pytest.raises(StartError, match=r"provision.* failed"):
        Platform(tmp_path / "home", port=0, env=env).start()


async def test_servers_that_exist_are_used_and_left_alone(supervisor: Supervisor, tmp_path: Path) -> None:
    taken: set[int] = set()
    postgres = Postgres(tmp_path / "postgres", free_port(taken), "secret")
    nats = Nats(tmp_path / "nats", free_port(taken), free_port(taken), "secret")
    await supervisor.start(postgres.program(), nats.program())
    env = {"DATABASE_URL": postgres.url(), "NATS_URL": nats.url}
    platform = Platform(tmp_path / "home", port=0, services=["loyalty"], env=env)
    await asyncio.to_thread(platform.start)
    assert list(platform.processes()) == ["gateway", "loyalty"]
    assert (platform.database_url, platform.nats_url) == (postgres.url(), nats.url)
    assert set(await asyncio.to_thread(platform.stop)) == {"gateway", "loyalty"}
    assert [await postgres.ready(), await nats.ready()] == [True, True]


def test_a_killed_process_is_started_again(platform: Platform) -> None:
    before = platform.processes()["loyalty"]
    platform.kill("loyalty")
    platform.wait_process("loyalty")
    after = platform.processes()["loyalty"]
    assert after["pid"] != before["pid"]
    assert (after["status"], after["restarts"], after["url"]) == ("ready", 1, before["url"])


def test_nats_is_stopped_and_started(platform: Platform) -> None:
    address = platform.nats_url
    platform.stop_process("nats")
    assert platform.processes()["nats"]["status"] == "stopped"
    platform.start_process("nats")
    assert (platform.processes()["nats"]["status"], platform.nats_url) == ("ready", address)


def test_a_command_is_told_where_the_platform_is(platform: Platform) -> None:
    script = "import os; print(os.environ['PERENNIAL_URL'], os.environ['PERENNIAL_API_KEY']); raise SystemExit(7)"
    done = _command(platform.home.path, "run", "--", sys.executable, "-c", script, EXIT="1")
    assert done.returncode == 7
    assert f"{platform.gateway_url} {platform.api_key}" in done.stdout
    assert platform.is_up(), "EXIT stops only what the command itself has started"


def test_what_a_killed_supervisor_left_is_stopped(platform: Platform) -> None:
    state = platform.state
    os.kill(state.supervisor.pid, signal.SIGKILL)
    stopped = platform.stop()
    assert set(stopped) == {"postgres", "nats", "gateway", "loyalty"}
    assert all(_gone(mark) for mark in state.marks())
    assert platform.stop() == []


def test_down_stops_all_and_the_keys_outlive_it(platform: Platform) -> None:
    kept = json.loads(platform.home.secrets.read_text())
    platform.start()
    state = platform.state
    assert platform.api_key == kept["api_key"]
    assert kept["passwords"]["postgres"] in platform.database_url
    down = _command(platform.home.path, "down")
    assert down.stdout.startswith("stopped postgres, nats, gateway")
    assert all(_gone(mark) for mark in (*state.marks(), state.supervisor))
    assert not platform.is_up()
