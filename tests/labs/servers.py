"""Clusters on this machine: three brokers, a primary with two standbys, and the address that leads to the primary."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import nats
import nats.js.errors
import psutil

from perennial.local.nats import HTTP_OK, binary
from perennial.local.net import HOST, free_port, http_status
from perennial.local.postgres import Postgres
from perennial.local.postgres import binary as program
from perennial.local.program import Program
from tests.e2e.balancer import Balancer

PASSWORD = "lab"
READY_SECONDS = 60
STANDBYS = ("one", "two")
BROKER = """\
server_name: "{name}"
listen: "{host}:{port}"
http: "{host}:{monitor}"
authorization {{ user: perennial, password: "{password}" }}
jetstream {{ store_dir: "{store}", sync_interval: always, max_file_store: 8GB, max_memory_store: 64MB }}
cluster {{
  name: lab, listen: "{host}:{route}", routes: [{routes}]
  advertise: "{host}:{nowhere}", no_advertise: true
}}
"""


def wait(check: Callable[[], Any], what: str, seconds: float = READY_SECONDS) -> Any:
    """The first true answer. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError, asyncpg.PostgresError, nats.errors.Error, TimeoutError):
            if found := check():
                return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.2)


@dataclass
class Node:
    """One server process."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; not yet ready."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.program.argv, env=dict(self.program.env), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, **self.program.popen,
            )  # fmt: skip

    def ready(self) -> bool:
        """Whether it answers."""
        return asyncio.run(_asked(self.program.ready))

    def send(self, number: signal.Signals) -> None:
        """A signal to it."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


async def _asked(ready: Callable[[], Awaitable[bool]]) -> bool:
    return await ready()


@dataclass
class Brokers:
    """Three brokers that keep three copies of every stream; each hears another over a line that can be cut."""

    nodes: dict[str, Node]
    urls: dict[str, str]
    lines: dict[tuple[str, str], tuple[Balancer, int]]

    @property
    def url(self) -> str:
        return ",".join(self.urls.values())

    def cut_off(self, name: str) -> None:
        """Cut a node off from the others; its clients still reach it."""
        for ends, (line, _) in self.lines.items():
            if name in ends:
                line.lead()

    def mend(self) -> None:
        """All hear each other again."""
        for line, port in self.lines.values():
            line.lead(port)

    def acknowledged(self, name: str, subject: str) -> bool:
        """Whether a node, asked by itself, says that it has stored a message."""

        async def said() -> bool:
            client = await nats.connect(self.urls[name], connect_timeout=2, allow_reconnect=False)
            try:
                await client.jetstream(timeout=2).publish(subject, b"lost")
            except (nats.errors.Error, nats.js.errors.Error):
                return False
            else:
                return True
            finally:
                await client.close()

        return asyncio.run(said())

    def leader(self, stream: str, but: str = "") -> str:
        """The node that leads a stream, as all know it, or all `but` one."""
        urls = [url for name, url in self.urls.items() if name != but]

        async def asked() -> str | None:
            client = await nats.connect(urls, connect_timeout=2, allow_reconnect=False)
            try:
                found = await client.jetstream(timeout=2).stream_info(stream)
                return found.cluster.leader if found.cluster else None
            finally:
                await client.close()

        return str(wait(lambda: asyncio.run(asked()), f"a leader of {stream}"))


@contextmanager
def brokers(folder: Path) -> Iterator[Brokers]:
    """Three of them, as long as the block lasts."""
    taken: set[int] = set()
    names = ("a", "b", "c")
    routes = {name: free_port(taken) for name in names}
    lines = {
        (one, other): (Balancer([routes[other]]), routes[other]) for one in names for other in names if one != other
    }
    taken |= {line.port for line, _ in lines.values()}
    made = Brokers({}, {}, lines)
    for name in names:
        port, monitor = free_port(taken), free_port(taken)
        config = folder / f"{name}.conf"
        others = ", ".join(f'"nats://{HOST}:{line.port}"' for (one, _), (line, _) in lines.items() if one == name)
        # What they would tell each other of themselves leads nowhere: there is no other way than the lines.
        config.write_text(BROKER.format(name=name, host=HOST, port=port, monitor=monitor, password=PASSWORD,
                                        store=folder / name, route=routes[name], routes=others,
                                        nowhere=free_port(taken)))  # fmt: skip

        async def ready(monitor: int = monitor) -> bool:
            return await http_status(monitor, "/healthz") == HTTP_OK

        argv = (str(binary()), "--config", str(config))
        server = Program(name=name, argv=argv, env={"PATH": os.defpath, "TZ": "UTC"}, port=port, ready=ready)
        made.nodes[name] = Node(server, folder / f"{name}.log")
        made.urls[name] = f"nats://perennial:{PASSWORD}@{HOST}:{port}"
    try:
        for node in made.nodes.values():
            node.start()
        for node in made.nodes.values():
            wait(node.ready, f"broker {node.program.name}")
        yield made
    finally:
        for node in made.nodes.values():
            node.kill()
        for line, _ in lines.values():
            line.close()


@dataclass
class Databases:
    """A primary and two standbys; `url` leads to whichever is the primary."""

    forwarder: Balancer
    nodes: dict[str, Node] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{PASSWORD}@{HOST}:{self.forwarder.port}/perennial"

    def ask(self, name: str, query: str) -> Any:
        """One value from one node."""

        async def asked() -> Any:
            port = self.nodes[name].program.port
            connection = await asyncpg.connect(f"postgresql://postgres:{PASSWORD}@{HOST}:{port}/postgres", timeout=5)
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        return asyncio.run(asked())

    def receivers(self, number: signal.Signals) -> None:
        """Freeze or thaw what receives the primary's log."""
        for name in STANDBYS:
            process = self.nodes[name].process
            assert process is not None
            for child in psutil.Process(process.pid).children(recursive=True):
                if any("walreceiver" in part for part in child.cmdline()):
                    child.send_signal(number)

    def fail_over(self) -> None:
        """Kill -9 the primary; the standby that has the most of its log takes its place, the other follows it."""
        self.nodes["first"].kill()
        self.forwarder.lead()
        behind = "SELECT coalesce(pg_last_wal_receive_lsn(), '0/0') - '0/0'::pg_lsn"
        chosen = max(STANDBYS, key=lambda name: int(self.ask(name, behind)))
        self.ask(chosen, "SELECT pg_promote(true, 30)")
        self.forwarder.lead(self.nodes[chosen].program.port)


@contextmanager
def databases(folder: Path, *, synchronous: bool) -> Iterator[Databases]:
    """All three, as long as the block lasts."""
    taken: set[int] = set()
    made = Databases(Balancer())
    wanted = f"ANY 1 ({', '.join(STANDBYS)})" if synchronous else ""
    settings = {"synchronous_standby_names": wanted, "shared_buffers": "64MB", "max_connections": "200"}
    try:
        for name in ("first", *STANDBYS):
            server = Postgres(folder / name, free_port(taken), PASSWORD, settings if name != "first" else {})
            if name != "first":
                _copy(made.forwarder.port, name, server)
            node = made.nodes[name] = Node(server.program(), folder / f"{name}.log")
            node.start()
            wait(node.ready, f"postgres {name}")
            if name == "first":
                asyncio.run(server.create_database("perennial"))
                made.forwarder.lead(server.port)
        wait(lambda: made.ask("first", "SELECT count(*) = 2 FROM pg_stat_replication WHERE state = 'streaming'"),
             "two standbys")  # fmt: skip
        for command in (f"ALTER SYSTEM SET synchronous_standby_names = '{wanted}'", "SELECT pg_reload_conf()"):
            made.ask("first", command)
        yield made
    finally:
        for node in made.nodes.values():
            if node.process is not None:
                node.send(signal.SIGCONT)
                node.kill()
        made.forwarder.close()


def _copy(port: int, name: str, server: Postgres) -> None:
    server.folder.mkdir(parents=True, exist_ok=True)
    address = f"host={HOST} port={port} user=postgres password={PASSWORD} application_name={name}"
    subprocess.run(
        [str(program("pg_basebackup")), "-D", str(server.data), "-d", address, "-X", "stream", "-c", "fast", "-R"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
