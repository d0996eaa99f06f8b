"""The gateway and the services as programs, and the commands that prepare their schemas and streams."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from perennial.local.keys import Keys
from perennial.local.nats import HTTP_OK
from perennial.local.net import HOST, http_status
from perennial.local.program import Program

GATEWAY = "gateway"
# Administrators' addresses: no process that serves requests gets to see them.
OWNER = ("PERENNIAL_DEV_OWNER_EMAIL", "PERENNIAL_DEV_OWNER_PASSWORD")
PRIVATE = ("DATABASE_URL", "NATS_URL", "PERENNIAL_DEV_API_KEY", "PERENNIAL_DEV_WRITE_KEY", *OWNER)


@dataclass(frozen=True)
class Command:
    """A module run once, with its arguments."""

    name: str
    module: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True)
class Deployment:
    """Where everything is: what the programs and the commands are told by their environment."""

    keys: Keys
    database_url: str
    nats_url: str
    ports: Mapping[str, int]
    temporary: str

    def programs(self) -> list[Program]:
        """One process for each service, the gateway first."""
        return [self.program(name) for name in sorted(self.ports, key=lambda name: (name != GATEWAY, name))]

    def program(self, name: str) -> Program:
        port = self.ports[name]

        async def ready() -> bool:
            return await http_status(port, "/readyz") == HTTP_OK

        argv = (sys.executable, "-m", "perennial.common.run", name, "--port", str(port))
        return Program(name=name, argv=argv, env=self._environment(name), port=port, ready=ready)

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    def commands(self) -> tuple[Command, Command, Command]:
        """What prepares the servers: schemas and roles, then migrations; streams at any time."""
        names = sorted(self.ports)
        passwords = {f"PERENNIAL_DB_PASSWORD_{role.upper()}": self.keys.passwords[role] for role in roles()}
        owners = {f"PERENNIAL_OWNER_DATABASE_URL_{n.upper()}": self._login(f"{n}_owner") for n in names}
        admin = {"PERENNIAL_ADMIN_DATABASE_URL": self.database_url}
        base = self._base()
        return (
            Command("provision", ("perennial.common.db.provision",), base | admin | passwords),
            Command("migrate", ("perennial.common.db.migrate", *names), base | owners),
            Command("streams", ("perennial.common.streams", "apply"), base),
        )

    def _base(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in PRIVATE}
        return inherited | {
            "PERENNIAL_NATS_URL": self.nats_url,
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": self.temporary,
        }

    def _environment(self, name: str) -> dict[str, str]:
        keys = self.keys
        added = {"PERENNIAL_INTERNAL_KEY": keys.internal_public_key}
        if name == GATEWAY:
            services = {other: self.url(other) for other in self.ports if other != GATEWAY}
            added |= {
                "PERENNIAL_INTERNAL_PRIVATE_KEY": keys.internal_private_key,
                "PERENNIAL_SERVICES": json.dumps(services),
                "PERENNIAL_DEV_WRITE_KEY": keys.write_key,
                "PERENNIAL_DEV_API_KEY": keys.api_key,
                **{name: os.environ[name] for name in OWNER if name in os.environ},
            }
        else:
            added["PERENNIAL_ENCRYPTION_KEY"] = keys.encryption_key_of(name)
        if name in {GATEWAY, "identity", "profile", "segments"}:
            added["PERENNIAL_IDENTIFIER_KEY"] = keys.identifier_key
        return self._base() | {"PERENNIAL_DATABASE_URL": self._login(name)} | added

    def _login(self, role: str) -> str:
        parts = urlsplit(self.database_url)
        address = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{role}:{self.keys.passwords[role]}@{address}").geturl()


def installed() -> list[str]:
    """The services that have an entry point, the gateway included."""
    return sorted({point.name for point in entry_points(group="perennial.services")})


def roles() -> list[str]:
    """The database roles of the installed services: who runs, and who owns and migrates."""
    return [role for name in installed() for role in (name, f"{name}_owner")]
