"""Keeps processes running: readiness gates, restarts with back-off, an order to stop in."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from perennial.local.program import Program

READY_POLL_SECONDS = 0.05
# Longer than a service may take to drain.
STOP_SECONDS = 45
BACK_OFF_SECONDS = 0.1
BACK_OFF_MAX_SECONDS = 10
# A process that lived this long has started well: its next end is a new failure, not the same one.
LIVED_SECONDS = 10
# How often a process may die before it was ever ready.
START_ATTEMPTS = 3

Notice = Callable[["Child", str], None]


class StartError(Exception):
    """A process could not be started; the text says why."""


class Child:
    """One supervised process. `notice(child, event)` hears of each change of its `status`."""

    def __init__(self, program: Program, log: Path, notice: Notice) -> None:
        self.program = program
        self.log = log
        self.status = "stopped"
        self.restarts = 0
        self.pid: int | None = None
        self._notice = notice
        self._wanted = asyncio.Event()
        self._unwanted = asyncio.Event()
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._extra_env: Mapping[str, str] = {}

    @property
    def name(self) -> str:
        return self.program.name

    async def start(self, env: Mapping[str, str] | None = None, seconds: float = 60) -> None:
        """Start the process, with `env` added until it is stopped; return when it is ready.

        Raises StartError when it dies again and again, or is not ready in time.
        """
        if self._task is None or self._task.done():
            self._extra_env = dict(env or {})
            self._unwanted.clear()
            self._task = asyncio.create_task(self._keep(), name=self.name)
        waiting = asyncio.create_task(self._ready.wait())
        await asyncio.wait({self._task, waiting}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._ready.is_set():
            await self.stop()
            raise StartError(f"{self.name} did not start; the end of {self.log}:\n{tail(self.log)}")

    async def stop(self) -> None:
        """Stop the process and keep it stopped; by force when it takes too long."""
        self._unwanted.set()
        self._signal(self.program.stop_signal)
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._task), STOP_SECONDS)
            self._signal(signal.SIGKILL)
            await self._task

    async def kill(self, *, hold: bool = False) -> None:
        """Kill -9. The process comes back by itself, unless it is held until the next `start`."""
        if hold:
            self._unwanted.set()
        process = self._process
        self._signal(signal.SIGKILL)
        if process is not None:
            await process.wait()
        if hold and self._task is not None:
            await self._task

    async def ready(self) -> None:
        """Wait until the process answers."""
        await self._ready.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _keep(self) -> None:
        failures = 0
        ever_ready = False
        while not self._unwanted.is_set():
            began = time.monotonic()
            was_ready = await self._run_once()
            ever_ready = ever_ready or was_ready
            if self._unwanted.is_set():
                break
            failures = 0 if was_ready and time.monotonic() - began > LIVED_SECONDS else failures + 1
            if failures >= START_ATTEMPTS and not ever_ready:
                self._change("failed")
                return
            self.restarts += 1
            self._change("restarting")
            delay = min(BACK_OFF_SECONDS * 2**failures, BACK_OFF_MAX_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._unwanted.wait(), delay)
        self._change("stopped")

    async def _run_once(self) -> bool:
        """Run the process to its end; whether it was ready in between."""
        program = self.program
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                env={**program.env, **self._extra_env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal must not reach Postgres before the services have drained.
                start_new_session=True,
                **program.popen,
            )
        self._process, self.pid = process, process.pid
        self._change("starting")
        probe = asyncio.create_task(self._probe())
        if self._unwanted.is_set():
            self._signal(program.stop_signal)
        code = await process.wait()
        probe.cancel()
        was_ready = self._ready.is_set()
        self._ready.clear()
        self.pid = None
        if not self._unwanted.is_set():
            self._change(f"died ({_ending(code)})")
        return was_ready

    async def _probe(self) -> None:
        while not await self.program.ready():  # noqa: ASYNC110 (another process cannot set an event)
            await asyncio.sleep(READY_POLL_SECONDS)
        self._ready.set()
        self._change("ready")

    def _change(self, status: str) -> None:
        self.status = status
        self._notice(self, status)


class Supervisor:
    """The children, by name, in the order in which they were added."""

    def __init__(self, log: Callable[[str], Path], notice: Notice) -> None:
        self.children: dict[str, Child] = {}
        self._log = log
        self._notice = notice

    async def start(self, *programs: Program) -> None:
        """Start the programs side by side; return when all are ready."""
        for program in programs:
            self.children[program.name] = Child(program, self._log(program.name), self._notice)
        starting = [asyncio.create_task(self.children[program.name].start()) for program in programs]
        try:
            await asyncio.gather(*starting)
        finally:
            for task in starting:
                task.cancel()

    async def stop(self, names: Iterable[str]) -> None:
        """Stop the named children side by side."""
        await asyncio.gather(*(self.children[name].stop() for name in names if name in self.children))

    def child(self, name: str) -> Child:
        """The child of that name. Raises LookupError."""
        if name not in self.children:
            raise LookupError(f"no process {name!r}; there are {', '.join(self.children)}")
        return self.children[name]


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
