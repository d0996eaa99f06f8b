"""Readiness gates, restarts, orders."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perennial.local.control import Control, ControlError, ask
from perennial.local.net import HOST
from perennial.local.program import Program
from perennial.local.supervisor import StartError, Supervisor

MakeProgram = Callable[..., Program]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


async def test_started_means_ready(supervisor: Supervisor, server: MakeProgram, notices: list[tuple[str, str]]) -> None:
    programs = server("one"), server("two")
    await supervisor.start(*programs)
    assert [await program.ready() for program in programs] == [True, True]
    assert [event for name, event in notices if name == "one"] == ["starting", "ready"]


async def test_a_killed_process_comes_back(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("one"))
    child = supervisor.child("one")
    first = child.pid
    await child.kill()
    await child.ready()
    assert child.pid not in {first, None}
    assert child.restarts == 1


async def test_a_held_process_stays_down_until_it_is_started(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("one"))
    child = supervisor.child("one")
    await child.kill(hold=True)
    assert (child.status, child.pid, await child.program.ready()) == ("stopped", None, False)
    await child.start()
    assert await child.program.ready()
    assert child.restarts == 0


async def test_a_stopped_process_starts_with_another_environment(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("one"))
    child = supervisor.child("one")
    await child.stop()
    await child.start(env={"WORD": "fault"})
    reader, writer = await asyncio.open_connection(HOST, child.program.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"fault")
    writer.close()


async def test_a_program_that_keeps_dying_is_an_error_that_shows_its_log(
    supervisor: Supervisor, server: MakeProgram, notices: list[tuple[str, str]]
) -> None:
    with pytest.raises(StartError, match="the reason"):
        await supervisor.start(server("broken", "raise SystemExit('the reason')"))
    assert notices[-1] == ("broken", "failed")


async def test_one_that_never_gets_ready_is_an_error(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("other"))
    child = supervisor.child("other")
    await child.stop()
    child.program = server("other", "import time; time.sleep(60)")
    with pytest.raises(StartError, match="other did not start"):
        await child.start(seconds=0.3)
    assert child.status == "stopped"


async def test_stop_uses_force_in_the_end(
    supervisor: Supervisor, server: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.local.supervisor.STOP_SECONDS", 0.1)
    await supervisor.start(server("one"))
    child = supervisor.child("one")
    await child.stop()
    child.program = server("one", STUBBORN)
    starting = asyncio.create_task(child.start())
    while child.pid is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    await child.stop()
    assert child.status == "stopped"
    with pytest.raises(StartError):
        await starting


async def test_stopping_does_not_wait_for_the_back_off(
    supervisor: Supervisor, server: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perennial.local.supervisor.BACK_OFF_SECONDS", 30)
    monkeypatch.setattr("perennial.local.supervisor.BACK_OFF_MAX_SECONDS", 30)
    await supervisor.start(server("one"))
    child = supervisor.child("one")
    await child.kill()
    began = time.monotonic()
    await child.stop()
    assert time.monotonic() - began < 5
    assert child.status == "stopped"


async def test_the_terminal_does_not_reach_the_children(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("one"))
    pid = supervisor.child("one").pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


async def test_orders_from_another_process(supervisor: Supervisor, server: MakeProgram) -> None:
    await supervisor.start(server("one"))
    control = Control(supervisor)
    door = await control.open()
    child = supervisor.child("one")
    await asyncio.to_thread(ask, door, "stop", "one")
    assert child.status == "stopped"
    await asyncio.to_thread(ask, door, "start", "one", env={"WORD": "x"})
    assert child.status == "ready"
    await asyncio.to_thread(ask, door, "kill", "one")
    await asyncio.to_thread(ask, door, "wait", "one")
    assert child.restarts == 1
    control.close()


@pytest.mark.parametrize(
    ("change", "verb", "name", "text"),
    [
        ({}, "start", "nobody", "no process 'nobody'; there are one"),
        ({}, "fly", "one", "no verb 'fly'"),
        ({"token": "guess"}, "stop", "one", "wrong token"),
    ],
)
async def test_refused_orders(
    supervisor: Supervisor, server: MakeProgram, change: dict[str, str], verb: str, name: str, text: str
) -> None:
    await supervisor.start(server("one"))
    control = Control(supervisor)
    door = await control.open()
    with pytest.raises(ControlError, match=text):
        await asyncio.to_thread(ask, door | change, verb, name)
    assert supervisor.child("one").status == "ready"
    control.close()


async def test_nobody_to_order(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="does not answer"):
        await asyncio.to_thread(ask, {"port": 9, "token": ""}, "stop", str(tmp_path))
