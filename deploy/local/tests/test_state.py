"""What is kept on disk: the state of a run, the keys, the logs."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from perennial.local.home import Home
from perennial.local.keys import Keys
from perennial.local.platform import Platform
from perennial.local.report import Follower, memory, table
from perennial.local.state import Mark, State, own_mark, stop_marked, wait_until_gone
from perennial.local.supervisor import StartError
from perennial.local.up import AlreadyRunningError, Options, clear, hold

SLEEP = (sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def _state(**processes: Mark) -> State:
    rows = {
        name: {"pid": mark.pid, "started": mark.started, "url": "http://x", "status": "ready"}
        for name, mark in processes.items()
    }
    urls = {"gateway": "http://127.0.0.1:1", "database": "postgresql://", "nats": "nats://"}
    return State(own_mark("supervisor"), urls=urls, keys={"write": "wk", "api": "ak"}, processes=rows)


def test_state_is_read_as_it_was_written_and_is_secret(home: Home) -> None:
    state = _state(one=own_mark("one"))
    state.write(home.state)
    assert State.read(home.state) == state
    assert home.state.stat().st_mode & 0o077 == 0
    assert State.read(home.path / "none") is None


def test_a_process_with_the_number_of_another_one_is_left_alone() -> None:
    with subprocess.Popen(SLEEP) as process:
        mark = Mark.of("sleep", process.pid)
        assert stop_marked([replace(mark, started=mark.started - 60)], signal.SIGTERM) == []
        assert process.poll() is None
        assert stop_marked([mark], signal.SIGTERM) == ["sleep"]
        assert process.wait() == -signal.SIGTERM


def test_what_a_dead_supervisor_left_is_stopped(home: Home) -> None:
    with subprocess.Popen(SLEEP) as process:
        _state(loyalty=Mark.of("loyalty", process.pid)).write(home.state)
        assert clear(home) == ["loyalty"]
        assert process.wait() == -signal.SIGTERM
    assert clear(home) == []


def test_a_home_is_held_once(home: Home) -> None:
    _state().write(home.state)
    with hold(home), pytest.raises(AlreadyRunningError, match=r"already runs: http://127\.0\.0\.1:1 .*make down"):
        hold(home)
    with hold(home):
        pass


def test_keys_are_kept_and_passwords_added(home: Home) -> None:
    first = Keys.load(home.secrets, ["loyalty"])
    second = Keys.load(home.secrets, ["loyalty", "sales"])
    assert second.passwords["loyalty"] == first.passwords["loyalty"]
    assert second.api_key == first.api_key
    assert len(bytes.fromhex(second.identifier_key)) == 32
    assert Keys.load(home.secrets, []) == second
    assert home.secrets.stat().st_mode & 0o077 == 0
    assert "PRIVATE KEY" in second.internal_private_key


def test_old_logs_are_kept_once(home: Home) -> None:
    home.log("loyalty").write_text("before")
    home.rotate_logs()
    assert not home.log("loyalty").exists()
    assert (home.path / "logs" / "loyalty.log.1").read_text() == "before"


def test_failures_are_picked_from_growing_logs(tmp_path: Path) -> None:
    log = tmp_path / "loyalty.log"
    follower = Follower()
    assert follower.failures([log]) == []
    log.write_text('{"level": "info"}\n{"event": "x", "level": "error"}\n{"level": "err')
    assert follower.failures([log]) == [("loyalty", '{"event": "x", "level": "error"}')]
    with log.open("a") as file:
        file.write('or"}\n2026 UTC [1] FATAL:  no\n2026 UTC [2] FATAL:  the database system is starting up\n')
    assert [line for _, line in follower.failures([log])] == ['{"level": "error"}', "2026 UTC [1] FATAL:  no"]
    assert follower.failures([log]) == []


def test_the_table_names_everything() -> None:
    text = table(_state(gateway=own_mark("gateway")))
    assert str(os.getpid()) in text
    assert "write key          wk" in text
    assert memory(os.getpid()) > 1_000_000


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PERENNIAL_PORT", port)
    with pytest.raises(StartError, match="PERENNIAL_PORT must be a port number"):
        Options.from_environment()


def test_a_service_that_is_none() -> None:
    with pytest.raises(StartError, match="no service sails; there are campaigns,"):
        Options.from_environment(["sails"])


def test_nothing_runs(home: Home) -> None:
    platform = Platform(home.path)
    assert platform.stop() == []
    assert not platform.is_up()
    with pytest.raises(StartError, match="nothing runs in"):
        _ = platform.gateway_url


def test_a_process_that_nobody_reaped_has_ended() -> None:
    with subprocess.Popen(SLEEP) as process:
        mark = Mark.of("sleep", process.pid)
        assert not wait_until_gone(mark, 0.05)
        process.kill()
        assert wait_until_gone(mark, 5)


def test_one_that_does_not_listen_is_killed() -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"
    argv = (sys.executable, "-S", "-E", "-c", script)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        stop_marked([Mark.of("deaf", process.pid)], signal.SIGTERM, seconds=0.1)
        assert process.wait() == -signal.SIGKILL
