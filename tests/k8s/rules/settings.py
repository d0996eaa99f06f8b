"""What processes are told: every key is read by somebody, every setting is told, and secrets stay secret."""

import re
from collections.abc import Iterator

from deploy.k8s.generate.external import kept
from deploy.k8s.generate.settings import PREFIX, plain_values, secret_names
from deploy.k8s.generate.streams import planned
from perennial.common import service as services
from tests.k8s.world import Finding, Pods, World, name_of

# Read by commands, not by settings classes.
COMMANDS = {"streams": {"PERENNIAL_STREAM_REPLICAS"}}
FILES = {"plan": {"streams.json"}, "nats": {"nats.conf"}}
SECRET_WORDS = re.compile(r"password|secret|private|token|BEGIN|://[^/\s]*:[^/\s]*@", re.IGNORECASE)
# What servers and commands find where they look for it.
SERVERS = {
    "postgres-superuser": {"username", "password"},
    "nats-auth": {"password"},
    "streams-secrets": {"PERENNIAL_NATS_URL"},
}
BACKUPS = {"postgres-backup": {"ACCESS_KEY_ID", "SECRET_ACCESS_KEY"}}
WITH_WORDS = {"nats"}  # its password is a variable


def read_and_told(world: World) -> Iterator[Finding]:
    """Both ways: no key that nobody reads, no setting that nobody tells."""
    config = world.config()
    for pods in world.pods("Deployment"):
        found = services.load(pods.labels.get("app.kubernetes.io/name", "gateway"))
        sources = [one["configMapRef"]["name"] for one in pods.box.get("envFrom", []) if "configMapRef" in one]
        told = {key: name for name in sources for key in config.get(name, ())}
        known = {PREFIX + name.upper() for name, info in found.settings.model_fields.items() if not info.is_required()}
        for key in sorted(set(told) - known):
            yield Finding(f"ConfigMap/{told[key]}", f"{key} is read by nobody in {found.name}")
        for key in sorted(set(plain_values(found.settings)) - set(told)):
            yield Finding(pods.at, f"{key} is told nobody")


def read_by_commands(world: World) -> Iterator[Finding]:
    for name, held in world.config().items():
        stem = name.partition("-")[0]
        if stem in FILES and set(held) != FILES[stem]:
            yield Finding(f"ConfigMap/{name}", "holds other files")
        if stem in COMMANDS:
            sizes = {f"PERENNIAL_STREAM_BYTES_{stream}" for stream in planned().streams}
            if unread := set(held) - COMMANDS[stem] - sizes:
                yield Finding(f"ConfigMap/{name}", f"{sorted(unread)} is read by no command")
            if not COMMANDS[stem] <= set(held):
                yield Finding(f"ConfigMap/{name}", "does not say what the command needs")


def nothing_secret_in_the_open(world: World) -> Iterator[Finding]:
    hidden = {key for name in services.names() for key in secret_names(services.load(name).settings)}
    for item in world.of("ConfigMap"):
        data = item.get("data", {})
        for key in sorted(hidden & set(data)):
            yield Finding(name_of(item), f"{key} is a secret")
        stem = item["metadata"]["name"].partition("-")[0]
        if stem not in WITH_WORDS:
            for key, value in data.items():
                if SECRET_WORDS.search(value) and key != "streams.json":
                    yield Finding(name_of(item), f"{key} looks like a secret")
    for pods in world.pods():
        for variable in pods.box.get("env", []):
            if SECRET_WORDS.search(variable["name"]) and "value" in variable:
                yield Finding(pods.at, f"{variable['name']} stands in the open")


def secrets_are_whole(world: World) -> Iterator[Finding]:
    """A process finds every secret that it needs, no other service's, and no key that it does not read."""
    secrets = world.secrets()
    for name in services.names():
        held = secrets.get(f"{name}-secrets", set())
        kind = services.load(name).settings
        required = {key for key, needed in secret_names(kind).items() if needed} & {*kept(name)}
        at = f"ExternalSecret/{name}-secrets"
        yield from (Finding(at, f"{key} is missing") for key in sorted(required - held))
        yield from (Finding(at, f"{key} is read by nobody") for key in sorted(held - {*kept(name)}))
        owner = secrets.get(f"{name}-owner", set())
        if owner != {"PERENNIAL_OWNER_DATABASE_URL"}:
            yield Finding(f"ExternalSecret/{name}-owner", "is not the owner's address alone")
    passwords = {f"PERENNIAL_DB_PASSWORD_{name.upper()}{end}" for name in services.names() for end in ("", "_OWNER")}
    if secrets.get("provision-secrets") != passwords | {"PERENNIAL_ADMIN_DATABASE_URL"}:
        yield Finding("ExternalSecret/provision-secrets", "does not give every role a password")
    servers = SERVERS | BACKUPS if world.production else SERVERS
    for name, keys in servers.items():
        if secrets.get(name) != keys:
            yield Finding(f"ExternalSecret/{name}", f"does not hold {sorted(keys)}")
    for pods in world.pods():
        yield from (Finding(pods.at, f"sees {name}") for name in _seen(pods) if name not in _allowed(pods))


def _seen(pods: Pods) -> list[str]:
    return [source["secretRef"]["name"] for source in pods.box.get("envFrom", []) if "secretRef" in source]


def _allowed(pods: Pods) -> set[str]:
    name, part = (pods.labels.get(f"app.kubernetes.io/{key}", "") for key in ("name", "component"))
    if part == "migrate":
        return {f"{name}-owner"}
    return {f"{name}-secrets"}
