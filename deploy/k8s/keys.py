"""Secrets for a deployment without a store: `python -m deploy.k8s.keys | kubectl create -f -`, once.

`--store` prints, as JSON, what a store must hold for production: path, property, value; null is yours to fill in.
`create` refuses what exists already: keys that were lost would take what they have sealed with them. Prints the
namespace too. Nothing of it belongs in git.
"""

import argparse
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.k8s.generate.dependencies import ROOT
from deploy.k8s.generate.external import SHARED, kept, owners
from deploy.k8s.generate.external import secrets as secrets_of_services
from perennial.common import service as services

OWN: dict[str, Callable[[], str]] = {
    "PERENNIAL_ENCRYPTION_KEY": lambda: secrets.token_hex(32),
    "PERENNIAL_ENCRYPTION_KEYS": lambda: f"1:{secrets.token_hex(32)}",
}


def made(postgres: str, nats: str) -> dict[str, dict[str, str]]:
    """Secrets by name, for a Postgres and a NATS at `host:port`."""
    names = services.names()
    passwords = {role: secrets.token_hex(24) for name in names for role in (name, f"{name}_owner")}
    admin, broker = secrets.token_hex(24), secrets.token_hex(24)
    private, public = _pair()
    shared = dict(zip(SHARED, (public, secrets.token_hex(32)), strict=True))

    def url(role: str, password: str) -> str:
        return f"postgresql://{role}:{password}@{postgres}/perennial"

    nats_url = {"PERENNIAL_NATS_URL": f"nats://perennial:{broker}@{nats}"}
    found: dict[str, dict[str, str]] = {
        "postgres-superuser": {"username": "postgres", "password": admin},
        "nats-auth": {"password": broker},
        "streams-secrets": nats_url,
        "provision-secrets": {
            "PERENNIAL_ADMIN_DATABASE_URL": url("postgres", admin),
            **{f"PERENNIAL_DB_PASSWORD_{role.upper()}": password for role, password in passwords.items()},
        },
    }
    for name in names:
        own = {key: OWN[key]() for key in kept(name) if key in OWN} | {k: shared[k] for k in kept(name) if k in shared}
        if "PERENNIAL_INTERNAL_PRIVATE_KEY" in kept(name):
            own["PERENNIAL_INTERNAL_PRIVATE_KEY"] = private
        found[f"{name}-secrets"] = {"PERENNIAL_DATABASE_URL": url(name, passwords[name])} | nats_url | own
        owner = f"{name}_owner"
        found[f"{name}-owner"] = {"PERENNIAL_OWNER_DATABASE_URL": url(owner, passwords[owner])}
    return found


def manifests(found: Mapping[str, Mapping[str, str]]) -> str:
    """The namespace and the Secrets as YAML."""
    written: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": "perennial"},
            "stringData": dict(values),
        }
        for name, values in found.items()
    ]
    namespace = (ROOT / "base/ground/namespace.yaml").read_text()
    return "---\n".join([namespace, *(yaml.safe_dump(item, sort_keys=False) for item in written)])


def stored() -> dict[str, dict[str, str | None]]:
    """What the ExternalSecrets ask a store for, by path and property; None where only the operator knows it."""
    private, public = _pair()
    pair = {"internal_private_key": private, "internal_key": public}
    files = [secrets_of_services(), owners(), (ROOT / "components/external-secrets-prepare/servers.yaml").read_text()]
    found: dict[str, dict[str, str | None]] = {}
    for item in (item for text in files for item in yaml.safe_load_all(text) if item):
        for reference in (one["remoteRef"] for one in item["spec"]["data"]):
            name = reference["property"]
            found.setdefault(reference["key"], {}).setdefault(name, pair.get(name) or _invented(name))
    return found


def _invented(name: str) -> str | None:
    if name.endswith("password"):
        return secrets.token_hex(24)
    own = {"PERENNIAL_IDENTIFIER_KEY": OWN["PERENNIAL_ENCRYPTION_KEY"], **OWN}
    make = own.get(f"PERENNIAL_{name.upper()}")
    return make() if make else None


def _pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description="Make the Secrets of a new deployment.")
    parser.add_argument("--postgres", default="postgres-rw:5432")
    parser.add_argument("--nats", default="nats:4222")
    parser.add_argument("--store", action="store_true", help="what a store must hold, instead")
    arguments = parser.parse_args()
    if arguments.store:
        print(json.dumps(stored(), indent=1))
        return
    print(manifests(made(arguments.postgres, arguments.nats)), end="")


if __name__ == "__main__":
    main()
