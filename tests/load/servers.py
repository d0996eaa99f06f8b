"""Processes beside the platform: the bare app, and a gateway that is traced."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from perennial.local.platform import Platform

START_SECONDS = 30


@contextlib.contextmanager
def bare() -> Iterator[str]:
    """The limit of HTTP; its address."""
    port = _free_port()
    with _running([sys.executable, str(Path(__file__).with_name("bare.py")), str(port)], None, port) as url:
        yield url


@contextlib.contextmanager
def traced(platform: Platform, collector: str) -> Iterator[str]:
    """A second gateway, whose spans go to a collector that says 200 to everything."""
    port = _free_port()
    command = [sys.executable, "-m", "perennial.common.run", "gateway", "--port", str(port)]
    env = {**platform.environment_of("gateway"), "PERENNIAL_OTLP_ENDPOINT": collector}
    with _running(command, env, port) as url:
        yield url


@contextlib.contextmanager
def _running(command: Sequence[str], env: Mapping[str, str] | None, port: int) -> Iterator[str]:
    output = subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdout=output, stderr=output) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} did not start")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
