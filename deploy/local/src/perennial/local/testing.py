"""Postgres and NATS for a test run: new, empty, removed at the end."""

import asyncio
import json
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from perennial.local.nats import Nats
from perennial.local.net import free_port
from perennial.local.postgres import Postgres
from perennial.local.program import Program
from perennial.local.state import Mark, own_mark, stop_marked

# The data lives as long as the run: nothing is lost by kill -9, only by a power cut.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
START_SECONDS = 30


@dataclass(frozen=True)
class Servers:
    """The running servers of one test run."""

    folder: Path
    database_url: str
    nats_urls: tuple[str, ...]
    processes: tuple[tuple[Program, subprocess.Popen[bytes]], ...]

    @classmethod
    def start(cls, parent: Path, brokers: int = 1) -> "Servers":
        """Start Postgres and some NATS below a new folder of `parent`, after clearing what killed runs left there.

        Names of streams are fixed, so tests that run side by side need a broker each.
        """
        parent = parent.resolve()
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob("run-*"):
            _clear(left)
        taken: set[int] = set()
        owner = own_mark("pytest")
        folder = parent / f"run-{owner.pid}"
        folder.mkdir()
        _write_marks(folder, [owner])
        postgres = Postgres(folder / "postgres", free_port(taken), "test", SETTINGS)
        nats = [Nats(folder / f"nats{n}", free_port(taken), free_port(taken), "test") for n in range(brokers)]
        programs = [postgres.program(), *(server.program() for server in nats)]
        processes = tuple((p, _spawn(p, folder)) for p in programs)
        _write_marks(folder, [owner, *(Mark.of(p.name, child.pid) for p, child in processes)])
        servers = cls(folder, postgres.url(), tuple(server.url for server in nats), processes)
        try:
            asyncio.run(_all_ready(servers))
        except BaseException:
            servers.stop()
            raise
        return servers

    def stop(self) -> None:
        """Stop all and remove their data."""
        for program, process in self.processes:
            process.send_signal(program.stop_signal)
        for _, process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _spawn(program: Program, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{program.name}.log").open("ab") as log:
        return subprocess.Popen(
            program.argv,
            env=dict(program.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **program.popen,
        )


async def _all_ready(servers: Servers) -> None:
    deadline = time.monotonic() + START_SECONDS
    for program, process in servers.processes:
        while not await program.ready():
            if process.poll() is not None or time.monotonic() > deadline:
                log = (servers.folder / f"{program.name}.log").read_text()
                raise RuntimeError(f"{program.name} did not start:\n{log[-2000:]}")
            await asyncio.sleep(0.02)


def _write_marks(folder: Path, marks: list[Mark]) -> None:
    (folder / "marks.json").write_text(json.dumps([asdict(mark) for mark in marks]))


def _clear(folder: Path) -> None:
    marks: list[Mark] = []
    with suppress(FileNotFoundError):
        marks = [Mark(**raw) for raw in json.loads((folder / "marks.json").read_text())]
    if marks and marks[0].process() is not None:
        return
    stop_marked(marks[1:], signal.SIGINT, seconds=5)
    shutil.rmtree(folder, ignore_errors=True)
