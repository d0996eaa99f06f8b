"""The command that keeps the snapshots."""

import sys
from pathlib import Path

import pytest

from perennial.gateway.main import SERVICE
from perennial.gateway.openapi import __main__ as command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "HERE", tmp_path)
    monkeypatch.setattr(command.services, "load", lambda _: SERVICE)  # type: ignore[attr-defined]
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["openapi", *arguments])
    return command.main()


def test_dump_then_check(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "check", "loyalty") == 1
    assert "python -m perennial.gateway.openapi dump" in capsys.readouterr().out
    assert run(monkeypatch, "dump", "loyalty") == 0
    assert sorted(path.name for path in folder.iterdir()) == ["gateway.json", "hears.json"]
    assert run(monkeypatch, "check", "loyalty") == 0
