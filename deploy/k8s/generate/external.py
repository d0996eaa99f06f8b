"""ExternalSecrets: what each service keeps secret, by reference to the operator's store."""

import functools
import importlib
from pathlib import Path
from typing import Any

from deploy.k8s.generate.dependencies import documents
from deploy.k8s.generate.settings import secret_names
from perennial.common import service as services
from perennial.common.service import Service

DIRECT, POOLED = "postgres-rw:5432", "pooler:5432"
# Development's own keys have no place in a store.
NEVER = ("PERENNIAL_DEV_WRITE_KEY", "PERENNIAL_DEV_API_KEY", "PERENNIAL_DEV_OWNER_PASSWORD")
# One key where there is a ring of keys would say the same twice.
OLDER = "PERENNIAL_ENCRYPTION_KEY"
# What several services must agree on.
SHARED = ("PERENNIAL_INTERNAL_KEY", "PERENNIAL_IDENTIFIER_KEY")
FINDS_PEOPLE = "PERENNIAL_IDENTIFIER_KEY"
NATS = "nats://perennial:{{ .nats_password }}@nats:4222"


@functools.cache
def kept(name: str) -> list[str]:
    """The variables that a service finds in its Secret: the key that finds people only where the code uses it."""
    names = secret_names(services.load(name).settings)
    left = {*NEVER, *([OLDER] if f"{OLDER}S" in names else []), *([] if _finds_people(name) else [FINDS_PEOPLE])}
    return sorted(set(names) - left)


def sources(found: Service) -> dict[Path, str]:
    """A service's own modules and their text."""
    folder = Path(str(importlib.import_module(f"perennial.{found.name}.main").__file__)).parent
    return {path: path.read_text() for path in sorted(folder.rglob("*.py"))}


@functools.cache
def _finds_people(name: str) -> bool:
    return any(".identifier_key" in text for text in sources(services.load(name)).values())


def secrets() -> str:
    """For each service the Secret of its processes."""
    return documents(*(_service(name) for name in services.names()), why="Secrets by reference.")


def owners() -> str:
    """What only the Jobs before a roll-out may know."""
    made = [_provision(), _streams(), *(_owner(name) for name in services.names())]
    return documents(*made, why="Secrets by reference, of the Jobs alone.")


def _service(name: str) -> dict[str, Any]:
    built = {
        "PERENNIAL_DATABASE_URL": _url(name, POOLED),
        "PERENNIAL_LISTEN_DATABASE_URL": _url(name, DIRECT),
        "PERENNIAL_NATS_URL": NATS,
    }
    plain = {key: f"{{{{ .{_property(key)} }}}}" for key in kept(name) if key not in built}
    data = [_data("password", name, "database_password"), _data("nats_password", "nats", "password")]
    data += [_data(_property(key), "shared" if key in SHARED else name, _property(key)) for key in plain]
    return _secret(f"{name}-secrets", built | plain, data)


def _owner(name: str) -> dict[str, Any]:
    data = [_data("password", name, "database_owner_password")]
    return _secret(f"{name}-owner", {"PERENNIAL_OWNER_DATABASE_URL": _url(f"{name}_owner", DIRECT)}, data)


def _provision() -> dict[str, Any]:
    names = services.names()
    template = {"PERENNIAL_ADMIN_DATABASE_URL": _url("postgres", DIRECT)}
    data = [_data("password", "postgres", "superuser_password")]
    for name in names:
        for role, held in ((name, "database_password"), (f"{name}_owner", "database_owner_password")):
            template[f"PERENNIAL_DB_PASSWORD_{role.upper()}"] = f"{{{{ .{role} }}}}"
            data.append(_data(role, name, held))
    return _secret("provision-secrets", template, data)


def _streams() -> dict[str, Any]:
    return _secret("streams-secrets", {"PERENNIAL_NATS_URL": NATS}, [_data("nats_password", "nats", "password")])


def _url(role: str, host: str) -> str:
    return f"postgresql://{role}:{{{{ .password }}}}@{host}/perennial"


def _property(key: str) -> str:
    return key.removeprefix("PERENNIAL_").lower()


def _data(key: str, path: str, held: str) -> dict[str, Any]:
    return {"secretKey": key, "remoteRef": {"key": f"perennial/{path}", "property": held}}


def _secret(name: str, template: dict[str, str], data: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": name},
        "spec": {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": "perennial"},
            "target": {"name": name, "creationPolicy": "Owner", "template": {"engineVersion": "v2", "data": template}},
            "data": data,
        },
    }
