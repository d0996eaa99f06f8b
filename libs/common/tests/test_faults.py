"""A process dies at a point once, if a test says so, and never otherwise."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from perennial.common import faults

PASSING = "from perennial.common import faults; faults.point('here'); faults.point('there'); print('alive')"


def passing(folder: Path | None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PERENNIAL_FAULTS"}
    env |= {"PERENNIAL_FAULTS": str(folder)} if folder else {}
    return subprocess.run([sys.executable, "-c", PASSING], env=env, capture_output=True, text=True, check=False)


def test_a_process_dies_once_where_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    killed = passing(tmp_path)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "")
    assert list(tmp_path.iterdir()) == []
    assert passing(tmp_path).stdout == "alive\n"
    (tmp_path / "elsewhere").touch()
    assert passing(tmp_path).stdout == "alive\n"


def test_without_the_variable_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").touch()
    monkeypatch.delenv("PERENNIAL_FAULTS", raising=False)
    monkeypatch.chdir(tmp_path)
    faults.point("here")
    assert (tmp_path / "here").exists()
