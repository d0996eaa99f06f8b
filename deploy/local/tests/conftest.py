"""A supervisor that keeps its logs in the test's folder, and a small program to run under it."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from perennial.local.net import free_port, http_status
from perennial.local.program import Program
from perennial.local.supervisor import Child, Supervisor

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("WORD", "").encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def notices() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, notices: list[tuple[str, str]]) -> AsyncIterator[Supervisor]:
    def notice(child: Child, event: str) -> None:
        notices.append((child.name, event))

    supervisor = Supervisor(lambda name: tmp_path / f"{name}.log", notice)
    yield supervisor
    await supervisor.stop(list(supervisor.children))


def _server(name: str, script: str = SERVER) -> Program:
    port = free_port()

    async def ready() -> bool:
        return await http_status(port, "/") == 200

    argv = (sys.executable, "-S", "-E", "-c", script, str(port))
    return Program(name=name, argv=argv, env={}, port=port, ready=ready)


@pytest.fixture
def server() -> Callable[..., Program]:
    """Makes a program that serves HTTP; `script` instead, when given."""
    return _server
