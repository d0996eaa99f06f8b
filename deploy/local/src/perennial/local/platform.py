"""The platform as an object: for end-to-end tests, the demo and the command line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from perennial.local.control import ask
from perennial.local.home import Home
from perennial.local.keys import Keys
from perennial.local.report import table
from perennial.local.services import Deployment, installed, roles
from perennial.local.state import State, wait_until_gone
from perennial.local.supervisor import StartError
from perennial.local.up import clear, hold

START_SECONDS = 180
STOP_SECONDS = 150


class Platform:
    """A platform in the folder `home`, run by a supervisor process of its own.

    `port` is the gateway's (None: PERENNIAL_PORT or 8080; 0: a free one). `services` limits what is
    started next to the gateway. `env` is added to the environment of every process.
    """

    def __init__(
        self,
        home: Path | None = None,
        *,
        port: int | None = None,
        services: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.home = Home(home.resolve()) if home else Home.from_environment()
        self._services = tuple(services)
        self._env = dict(env or {})
        if port is not None:
            self._env["PERENNIAL_PORT"] = str(port)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the platform in the background; return when all is ready. Raises StartError."""
        self.home.make()
        if self._process is not None:
            self._process.poll()
        argv = [sys.executable, "-m", "perennial.local", "up"]
        argv += ["--services", ",".join(self._services)] if self._services else []
        log = self.home.log("up")
        with log.open("wb") as output:
            process = self._process = subprocess.Popen(
                argv,
                env={**os.environ, **self._env, "PERENNIAL_HOME": str(self.home.path)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up(process.pid):
            if process.poll() is not None:
                raise StartError(log.read_text(errors="replace").strip())
            if time.monotonic() > deadline:
                self.stop()
                raise StartError(f"not ready after {START_SECONDS} s: see {log.parent}")
            time.sleep(0.05)

    def _is_up(self, pid: int) -> bool:
        state = State.read(self.home.state)
        return state is not None and state.ready and state.supervisor.pid == pid

    def stop(self) -> list[str]:
        """Stop the platform, or what a dead supervisor left of it; the names of what ran."""
        state = State.read(self.home.state)
        try:
            return self._stop(state) if state is not None else []
        finally:
            if self._process is not None:
                self._process.wait(STOP_SECONDS)

    def _stop(self, state: State) -> list[str]:
        supervisor = state.supervisor.process()
        if supervisor is not None:
            supervisor.send_signal(signal.SIGTERM)
            if not wait_until_gone(state.supervisor, STOP_SECONDS):
                supervisor.kill()
                wait_until_gone(state.supervisor, 5)
        # A killed process is gone before the last of its threads has let go of the lock.
        with hold(self.home, patience=5):
            return clear(self.home) or (list(state.processes) if supervisor else [])

    @property
    def state(self) -> State:
        """What runs now. Raises StartError when nothing does."""
        state = State.read(self.home.state)
        if state is None or state.supervisor.process() is None:
            raise StartError(f"nothing runs in {self.home.path}: start it with `make up`")
        return state

    def is_up(self) -> bool:
        state = State.read(self.home.state)
        return state is not None and state.ready and state.supervisor.process() is not None

    @property
    def gateway_url(self) -> str:
        return self.state.urls["gateway"]

    @property
    def database_url(self) -> str:
        """The administrator's address of the database."""
        return self.state.urls["database"]

    @property
    def nats_url(self) -> str:
        return self.state.urls["nats"]

    @property
    def write_key(self) -> str:
        return self.state.keys["write"]

    @property
    def api_key(self) -> str:
        return self.state.keys["api"]

    def processes(self) -> dict[str, dict[str, Any]]:
        """By name: `pid`, `port`, `url`, `status`, `restarts`."""
        return self.state.processes

    def service_url(self, name: str) -> str:
        """A process' own address, past the gateway."""
        return str(self.processes()[name]["url"])

    def environment(self) -> dict[str, str]:
        """What a client needs: PERENNIAL_URL, PERENNIAL_WRITE_KEY, PERENNIAL_API_KEY, PERENNIAL_HOME."""
        return {
            "PERENNIAL_URL": self.gateway_url,
            "PERENNIAL_WRITE_KEY": self.write_key,
            "PERENNIAL_API_KEY": self.api_key,
            "PERENNIAL_HOME": str(self.home.path),
        }

    def environment_of(self, name: str) -> dict[str, str]:
        """What a service's own process sees: for the commands that operate it. Raises StartError."""
        state = self.state
        ports = {other: int(found["port"]) for other, found in state.processes.items() if other in installed()}
        if name not in ports:
            raise StartError(f"{name} is not running; there are {', '.join(sorted(ports))}")
        keys = Keys.load(self.home.secrets, roles())
        urls = state.urls
        deployment = Deployment(keys, urls["database"], urls["nats"], ports, str(self.home.temporary))
        return dict(deployment.program(name).env)

    def table(self) -> str:
        return table(self.state)

    def kill(self, name: str, *, hold: bool = False) -> None:
        """Kill -9 one process. The supervisor starts it again, unless `hold`: then `start_process` does."""
        ask(self.state.control, "kill", name, hold=hold)

    def stop_process(self, name: str) -> None:
        """Stop one process gently, and keep it stopped."""
        ask(self.state.control, "stop", name)

    def start_process(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start a stopped process, with `env` added until it is stopped; return when it is ready."""
        ask(self.state.control, "start", name, env=dict(env or {}))

    def wait_process(self, name: str) -> None:
        """Wait until a process that was killed is ready again."""
        ask(self.state.control, "wait", name)
