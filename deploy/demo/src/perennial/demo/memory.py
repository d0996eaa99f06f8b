"""How much memory each process of the platform takes, read from its supervisor's state file."""

import json
from contextlib import suppress
from pathlib import Path

import psutil


def by_process(home: Path) -> dict[str, int]:
    """Bytes of each process with its children, what they share counted once (PSS; RSS where unknown).

    Empty when the platform does not run on this machine.
    """
    try:
        state = json.loads((home / "state.json").read_text())
    except FileNotFoundError:
        return {}
    pids = {name: row["pid"] for name, row in state["processes"].items() if row.get("pid")}
    supervisor = {"supervisor": _own(state["supervisor"]["pid"])}
    return {name: _whole(pid) for name, pid in pids.items()} | supervisor


def _whole(pid: int) -> int:
    with suppress(psutil.NoSuchProcess):
        return _own(pid) + sum(_own(child.pid) for child in psutil.Process(pid).children(recursive=True))
    return 0


def _own(pid: int) -> int:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        info = psutil.Process(pid).memory_full_info()
        return int(getattr(info, "pss", info.rss))
    return 0
