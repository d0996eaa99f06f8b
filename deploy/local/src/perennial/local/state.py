"""What runs, written down, so that another command can find it and stop what was left behind."""

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

# Start times are computed from the boot time, which a clock adjustment may shift a little.
SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Mark:
    """One process, recognisable after its number was given to another one."""

    name: str
    pid: int
    started: float

    @classmethod
    def of(cls, name: str, pid: int) -> "Mark":
        return cls(name, pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The process, if it still runs and is the same one."""
        try:
            process = psutil.Process(self.pid)
            gone = process.status() == psutil.STATUS_ZOMBIE
            same = abs(process.create_time() - self.started) < SAME_START_SECONDS
        except psutil.NoSuchProcess:
            return None
        return process if same and not gone else None


@dataclass
class State:
    """The content of `state.json`: secret, for it holds the addresses with their passwords."""

    supervisor: Mark
    ready: bool = False
    urls: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    control: dict[str, Any] = field(default_factory=dict)
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def marks(self) -> list[Mark]:
        """The processes that have been started, in that order."""
        return [Mark(name, row["pid"], row["started"]) for name, row in self.processes.items() if row.get("pid")]

    def write(self, path: Path) -> None:
        scratch = path.with_suffix(".new")
        scratch.touch(mode=0o600)
        scratch.write_text(json.dumps(asdict(self), indent=1))
        scratch.replace(path)

    @classmethod
    def read(cls, path: Path) -> "State | None":
        """What the last supervisor wrote; None when there is nothing."""
        try:
            raw = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        return cls(**raw | {"supervisor": Mark(**raw["supervisor"])})


def stop_marked(marks: Iterable[Mark], how: signal.Signals, seconds: float = 45) -> list[str]:
    """Stop the processes that are still the marked ones, by force after a while; their names."""
    found = [mark for mark in marks if mark.process() is not None]
    for number, patience in ((how, seconds), (signal.SIGKILL, 5)):
        for mark in found:
            _send(mark, number)
        deadline = time.monotonic() + patience
        if all(wait_until_gone(mark, deadline - time.monotonic()) for mark in found):
            break
    return [mark.name for mark in found]


def _send(mark: Mark, number: signal.Signals) -> None:
    process = mark.process()
    if process is not None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def wait_until_gone(mark: Mark, seconds: float) -> bool:
    """Whether the process ended within the time; one that nobody has reaped yet has ended."""
    deadline = time.monotonic() + seconds
    while mark.process() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def own_mark(name: str) -> Mark:
    return Mark.of(name, os.getpid())
