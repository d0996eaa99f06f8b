"""Starts the whole platform, stays with it, and stops it in order."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from perennial.local.control import Control
from perennial.local.home import Home
from perennial.local.keys import Keys
from perennial.local.nats import Nats
from perennial.local.net import free_port, is_free
from perennial.local.postgres import Postgres
from perennial.local.report import Follower, table
from perennial.local.services import GATEWAY, Command, Deployment, installed, roles
from perennial.local.state import Mark, State, own_mark, stop_marked
from perennial.local.supervisor import Child, StartError, Supervisor, tail

DATABASE = "perennial"
DEFAULT_PORT = 8080
FOLLOW_SECONDS = 1.0
SERVERS = ("nats", "postgres")


class AlreadyRunningError(StartError):
    """The home belongs to a running supervisor."""


@dataclass(frozen=True)
class Options:
    """What the environment and the command line ask for."""

    port: int
    services: tuple[str, ...]
    database_url: str | None
    nats_url: str | None

    @classmethod
    def from_environment(cls, services: Sequence[str] = ()) -> "Options":
        """Raises StartError when a variable makes no sense."""
        known = installed()
        if unknown := set(services) - set(known):
            raise StartError(f"no service {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        port = os.environ.get("PERENNIAL_PORT") or str(DEFAULT_PORT)
        if not port.isdecimal() or int(port) > 65_535:
            raise StartError(f"PERENNIAL_PORT must be a port number, not {port!r}")
        chosen = {*services, GATEWAY} if services else known
        return cls(
            int(port),
            tuple(sorted(chosen)),
            os.environ.get("DATABASE_URL") or None,
            os.environ.get("NATS_URL") or None,
        )


class Up:
    """One run of the platform."""

    def __init__(self, home: Home, options: Options) -> None:
        self.home = home
        self.options = options
        self.state = State(own_mark("supervisor"))
        self.supervisor = Supervisor(home.log, self._notice)
        self._control = Control(self.supervisor)
        self._taken: set[int] = set()
        self._stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Start everything, say so, and stay until `stop`. Raises StartError."""
        with hold(self.home):
            clear(self.home)
            self.state.write(self.home.state)
            self.home.rotate_logs()
            try:
                await self._until(stop, self._start())
                await self._follow(stop)
            finally:
                await self._stop()

    async def _until(self, stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, or leave it when the stop comes first."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for each in (task, stopped):
            if not each.done():
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each
        if not task.cancelled():
            task.result()

    async def _start(self) -> None:
        began = time.monotonic()
        port = self._gateway_port()
        keys = Keys.load(self.home.secrets, ("postgres", "nats", *roles()))
        keys.write_key = os.environ.get("PERENNIAL_DEV_WRITE_KEY") or keys.write_key
        keys.api_key = os.environ.get("PERENNIAL_DEV_API_KEY") or keys.api_key
        self.state.keys = {"write": keys.write_key, "api": keys.api_key}
        self.state.control = await self._control.open()
        database_url, nats_url = await self._start_servers(keys)
        ports = {name: port if name == GATEWAY else free_port(self._taken) for name in self.options.services}
        deployment = Deployment(keys, database_url, nats_url, ports, str(self.home.temporary))
        self.state.urls = {"gateway": deployment.url(GATEWAY), "database": database_url, "nats": nats_url}
        provision, migrate, streams = deployment.commands()
        await asyncio.gather(self._commands(provision, migrate), self._commands(streams))
        await self.supervisor.start(*deployment.programs())
        self.state.ready = True
        self.state.write(self.home.state)
        print(f"Perennial is up after {time.monotonic() - began:.1f} s, in {self.home.path}\n")
        print(f"{table(self.state)}\n", flush=True)

    def _gateway_port(self) -> int:
        if self.options.port == 0:
            return free_port(self._taken)
        if not is_free(self.options.port):
            raise StartError(f"port {self.options.port} is taken by another program: set PERENNIAL_PORT to a free one")
        return self.options.port

    async def _start_servers(self, keys: Keys) -> tuple[str, str]:
        """Start Postgres and NATS unless both exist already; their addresses."""
        postgres = Postgres(self.home.path / "postgres", free_port(self._taken), keys.passwords["postgres"])
        ports = free_port(self._taken), free_port(self._taken)
        nats = Nats(self.home.path / "nats", *ports, keys.passwords["nats"])
        programs = []
        if self.options.database_url is None:
            programs.append(await asyncio.to_thread(postgres.program))
        if self.options.nats_url is None:
            programs.append(nats.program())
        await self.supervisor.start(*programs)
        if self.options.database_url is None:
            await postgres.create_database(DATABASE)
        return self.options.database_url or postgres.url(DATABASE), self.options.nats_url or nats.url

    async def _commands(self, *commands: Command) -> None:
        """Run one after the other. Raises StartError with the end of what a failing one wrote."""
        for command in commands:
            log = self.home.log(command.name)
            argv = (sys.executable, "-m", *command.module)
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *argv, env=command.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
                try:
                    code = await process.wait()
                finally:
                    if process.returncode is None:
                        process.kill()
            if code != 0:
                module = " ".join(command.module)
                raise StartError(f"`python -m {module}` failed; the end of {log}:\n{tail(log)}")

    async def _follow(self, stop: asyncio.Event) -> None:
        follower = Follower()
        logs = [child.log for child in self.supervisor.children.values()]
        follower.failures(logs)
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FOLLOW_SECONDS)
            for name, line in follower.failures(logs):
                print(f"{name}: {line}", flush=True)

    async def _stop(self) -> None:
        self._stopping = True
        self._control.close()
        if self.state.ready:
            print("stopping", flush=True)
        names = [name for name in self.supervisor.children if name not in {GATEWAY, *SERVERS}]
        # The gateway drains first: its last requests still need the services.
        for group in ([GATEWAY], names, ["nats"], ["postgres"]):
            await self.supervisor.stop(group)
        self.home.state.unlink(missing_ok=True)

    def _notice(self, child: Child, event: str) -> None:
        row = {"status": event, "restarts": child.restarts, "port": child.program.port}
        row["url"] = _address(child)
        if child.pid is not None:
            with suppress(Exception):
                row |= {"pid": child.pid, "started": Mark.of(child.name, child.pid).started}
        self.state.processes[child.name] = row
        self.state.write(self.home.state)
        if self.state.ready and not self._stopping and event.startswith("died"):
            print(f"{child.name}: {event}; the end of {child.log}:\n{tail(child.log, 10)}", flush=True)


def _address(child: Child) -> str:
    scheme = {"postgres": "postgresql", "nats": "nats"}.get(child.name, "http")
    return f"{scheme}://127.0.0.1:{child.program.port}"


def hold(home: Home, patience: float = 0) -> IO[bytes]:
    """The home's lock, held until it is closed; waits `patience` seconds for it. Raises AlreadyRunningError."""
    home.make()
    lock = home.lock.open("ab")
    deadline = time.monotonic() + patience
    while not _locked(lock):
        if time.monotonic() > deadline:
            lock.close()
            state = State.read(home.state)
            where = state.urls.get("gateway", "starting") if state else "starting"
            raise AlreadyRunningError(f"Perennial already runs: {where} (home {home.path}); stop it with `make down`")
        time.sleep(0.05)
    return lock


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def clear(home: Home) -> list[str]:
    """Stop what a supervisor that died left running; the names of it. The lock must be held."""
    state = State.read(home.state)
    if state is None:
        return []
    marks = state.marks()
    stopped = stop_marked([mark for mark in marks if mark.name not in SERVERS], signal.SIGTERM)
    for name, how in (("nats", signal.SIGTERM), ("postgres", signal.SIGINT)):
        stopped += stop_marked([mark for mark in marks if mark.name == name], how)
    home.state.unlink(missing_ok=True)
    return stopped
