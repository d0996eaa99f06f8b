"""Postgres and NATS from the wheels: data outlives kill -9, root is refused nothing."""

import os
from pathlib import Path

import asyncpg
import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StorageType, StreamConfig

from perennial.local.nats import Nats
from perennial.local.net import free_port
from perennial.local.postgres import Postgres, binary
from perennial.local.supervisor import Supervisor

QUICK = {"fsync": "off", "shared_buffers": "16MB"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def postgres(tmp_path: Path) -> Postgres:
    return Postgres(tmp_path / "postgres", free_port(), "secret", QUICK)


@pytest.fixture
def server(tmp_path: Path) -> Nats:
    taken: set[int] = set()
    return Nats(tmp_path / "nats", free_port(taken), free_port(taken), 'a "quoted" secret')


async def test_postgres_survives_kill_9(supervisor: Supervisor, postgres: Postgres) -> None:
    await supervisor.start(postgres.program())
    await postgres.create_database("shop")
    connection = await asyncpg.connect(postgres.url("shop"))
    await connection.execute("CREATE TABLE paid AS SELECT 1 AS order_id")
    for _ in range(2):
        await supervisor.child("postgres").kill()
        await supervisor.child("postgres").ready()
    await connection.close()
    connection = await asyncpg.connect(postgres.url("shop"))
    assert await connection.fetchval("SELECT order_id FROM paid") == 1
    assert await connection.fetchval("SHOW max_connections") == "200"
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()
    await postgres.create_database("shop")


async def test_postgres_wants_its_password(supervisor: Supervisor, postgres: Postgres) -> None:
    await supervisor.start(postgres.program())
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url().replace("secret", "guess"))


def _open(tmp_path: Path) -> None:
    """Let other users reach the folder, or skip the test where they cannot."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    if not all(folder.stat().st_mode & 0o001 for path in (tmp_path, binary("postgres")) for folder in path.parents):
        pytest.skip("the checkout or the temporary folder lies below a closed one")


@AS_ROOT
async def test_postgres_as_root_below_an_open_folder(
    supervisor: Supervisor, postgres: Postgres, tmp_path: Path
) -> None:
    _open(tmp_path)
    await supervisor.start(postgres.program())
    assert "unshare" not in supervisor.child("postgres").program.argv[0]
    assert postgres.data.stat().st_uid != 0


@AS_ROOT
async def test_postgres_as_root_below_a_closed_folder(supervisor: Supervisor, postgres: Postgres) -> None:
    await supervisor.start(postgres.program())
    assert "unshare" in supervisor.child("postgres").program.argv[0]
    assert postgres.data.stat().st_uid == 0


@AS_ROOT
async def test_the_data_changes_hands_when_the_folder_is_opened(
    supervisor: Supervisor, postgres: Postgres, tmp_path: Path
) -> None:
    await supervisor.start(postgres.program())
    await supervisor.stop(["postgres"])
    _open(tmp_path)
    await supervisor.start(postgres.program())
    assert postgres.data.stat().st_uid != 0
    assert await postgres.ready()


async def test_an_interrupted_initdb_is_made_again(supervisor: Supervisor, postgres: Postgres) -> None:
    left = postgres.folder / "initdb-left"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18")
    await supervisor.start(postgres.program())
    assert await postgres.ready()


async def test_jetstream_survives_kill_9(supervisor: Supervisor, server: Nats) -> None:
    await supervisor.start(server.program())
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name="S", subjects=["s"], storage=StorageType.FILE))
    for number in range(5):
        await stream.publish("s", str(number).encode())
    await client.close()
    await supervisor.child("nats").kill()
    await supervisor.child("nats").ready()
    client = await nats.connect(server.url)
    info = await client.jetstream().stream_info("S")
    assert info.state.messages == 5
    await client.close()


async def test_nats_wants_its_password_and_syncs_always(supervisor: Supervisor, server: Nats) -> None:
    await supervisor.start(server.program())
    client = Client()
    with pytest.raises(Error, match="Authorization"):
        await client.connect(f"nats://127.0.0.1:{server.port}", allow_reconnect=False)
    await client.close()
    config = server.folder / "nats.conf"
    assert "sync_interval: always" in config.read_text()
    assert config.stat().st_mode & 0o077 == 0
