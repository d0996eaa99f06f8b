"""What `make up` prints: where everything is, the development keys, the memory, and failures as they happen."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from perennial.local.state import State

MEGABYTE = 1_000_000
LINE_CHARACTERS = 400
FAILURE = re.compile(r'"level": ?"(error|critical)"|^Traceback|\b(FATAL|PANIC):|\[(ERR|FTL)\]')
# What Postgres tells each client while it stops or starts: one line says enough, and that is ours.
EXPECTED = re.compile(r"FATAL: +(terminating |the database system is |pre-existing shared memory)")


def memory(pid: int) -> int:
    """Bytes of a process and its children, what they share counted once (PSS; RSS where unknown)."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                info = each.memory_full_info()
                total += getattr(info, "pss", info.rss)
    return total


def table(state: State) -> str:
    """Addresses, process numbers and memory, then the keys."""
    rows = [("process", "address", "pid", "memory MB")]
    total = 0
    for name, row in state.processes.items():
        used = memory(row["pid"]) if row.get("pid") else 0
        total += used
        pid = str(row.get("pid") or row["status"])
        rows.append((name, row["url"], pid, f"{used / MEGABYTE:.0f}"))
    own = memory_of_one(state.supervisor.pid)
    rows += [("supervisor", "", str(state.supervisor.pid), f"{own / MEGABYTE:.0f}")]
    rows += [("total", "", "", f"{(total + own) / MEGABYTE:.0f}")]
    named = [("API", state.urls["gateway"]), ("API documentation", state.urls["gateway"] + "/docs")]
    named += [("database", state.urls["database"]), ("NATS", state.urls["nats"])]
    named += [("write key", state.keys["write"]), ("API key", state.keys["api"])]
    return f"{_columns(rows)}\n\n{_columns(named)}"


def memory_of_one(pid: int) -> int:
    """Bytes of one process without its children."""
    with suppress(psutil.Error):
        info = psutil.Process(pid).memory_full_info()
        return int(getattr(info, "pss", info.rss))
    return 0


def _columns(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def is_failure(line: str) -> bool:
    """Whether a line of a log is worth showing."""
    return bool(FAILURE.search(line)) and not EXPECTED.search(line)


class Follower:
    """Reads logs as they grow, and picks the lines that tell of a failure."""

    def __init__(self) -> None:
        self._offsets: dict[Path, int] = {}

    def failures(self, logs: Iterable[Path]) -> list[tuple[str, str]]:
        """New lines since the last call, each with the name of its log."""
        lines = ((log.stem, line) for log in logs for line in self._new_lines(log))
        return [(name, line[:LINE_CHARACTERS]) for name, line in lines if is_failure(line)]

    def _new_lines(self, log: Path) -> list[str]:
        start = self._offsets.get(log, 0)
        with suppress(FileNotFoundError):
            if log.stat().st_size == start:
                return []
            with log.open("rb") as file:
                file.seek(start)
                whole, _, _ = file.read().rpartition(b"\n")
            self._offsets[log] = start + len(whole) + bool(whole)
            return whole.decode(errors="replace").splitlines()
        return []
