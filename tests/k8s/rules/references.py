"""Every name leads somewhere, every selector takes what it should."""

from collections.abc import Iterator
from typing import Any

from tests.k8s.rules.watching import DASHBOARD
from tests.k8s.world import WORKLOADS, Finding, Pods, World, matches, name_of

# Read by CloudNativePG, by the NATS chart, and by a Job that a component may take away.
OPERATORS = {"postgres-superuser", "postgres-backup", "nats-auth", "streams-secrets"}


def resolved(world: World) -> Iterator[Finding]:
    config, secrets = world.config(), world.secrets()
    for pods in world.pods():
        account = pods.spec.get("serviceAccountName")
        if account and not world.has("ServiceAccount", account):
            yield Finding(pods.at, f"runs as {account}, which is not there")
        if pods.owner["kind"] == "Deployment" and not account:
            yield Finding(pods.at, "has no service account of its own")
        yield from (
            Finding(pods.at, f"reads {kind} {name}, which is not there")
            for kind, name in _read(pods)
            if name not in (config if kind == "ConfigMap" else secrets)
        )
        for variable in pods.box.get("env", []):
            held = variable.get("valueFrom", {}).get("secretKeyRef")
            if held and held["key"] not in secrets.get(held["name"], ()):
                yield Finding(pods.at, f"reads {held['name']}.{held['key']}, which is not there")
        there = {volume["name"] for volume in pods.spec.get("volumes", [])}
        there |= {claim["metadata"]["name"] for claim in pods.owner["spec"].get("volumeClaimTemplates", [])}
        for mount in pods.box.get("volumeMounts", []):
            if mount["name"] not in there:
                yield Finding(pods.at, f"mounts {mount['name']}, which is not there")
    yield from _unused(world)


def _unused(world: World) -> Iterator[Finding]:
    """What nobody reads, or nobody runs as, is a mistake as well."""
    read = {name for pods in world.pods() for _, name in _read(pods)}
    told = [item["metadata"] for item in world.of("ConfigMap") if DASHBOARD not in item["metadata"].get("labels", {})]
    yield from (Finding(f"ConfigMap/{one['name']}", "is read by nobody") for one in told if one["name"] not in read)
    for item in world.of("ExternalSecret"):
        name = item["spec"]["target"]["name"]
        if name not in read and name not in OPERATORS:
            yield Finding(name_of(item), "is read by nobody")
        if name != item["metadata"]["name"]:
            yield Finding(name_of(item), "makes a Secret of another name")
        yield from _templated(item)
    used = {pods.spec.get("serviceAccountName") for pods in world.pods()}
    for item in world.of("ServiceAccount"):
        if item["metadata"]["name"] not in used:
            yield Finding(name_of(item), "is nobody's")
        if item.get("automountServiceAccountToken") is not False:
            yield Finding(name_of(item), "hands out its token")


def _templated(item: dict[str, Any]) -> Iterator[Finding]:
    spec = item["spec"]
    text = str(spec["target"].get("template", {}).get("data", {}))
    given = {one["secretKey"] for one in spec["data"]}
    used = {word.strip().removeprefix(".") for word in _placeholders(text)}
    if text != "{}" and used != given:
        yield Finding(name_of(item), f"asks the store for {sorted(given ^ used)} and its template does not agree")
    if spec["secretStoreRef"] != {"kind": "ClusterSecretStore", "name": "perennial"}:
        yield Finding(name_of(item), "asks another store")


def _placeholders(text: str) -> list[str]:
    return [part.partition("}}")[0] for part in text.split("{{")[1:]]


def _read(pods: Pods) -> Iterator[tuple[str, str]]:
    """Kind and name of what the pods are told by."""
    for source in pods.box.get("envFrom", []):
        yield from (
            ("ConfigMap" if kind == "configMapRef" else "Secret", value["name"]) for kind, value in source.items()
        )
    for volume in pods.spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
    for variable in pods.box.get("env", []):
        if "secretKeyRef" in variable.get("valueFrom", {}):
            yield "Secret", variable["valueFrom"]["secretKeyRef"]["name"]


def selected(world: World) -> Iterator[Finding]:
    for pods in world.pods("Deployment", "StatefulSet"):
        chosen = pods.owner["spec"]["selector"]
        if not matches(chosen, pods.labels):
            yield Finding(pods.at, "does not select its own pods")
        others = [other.at for other in world.pods() if other.at != pods.at and matches(chosen, other.labels)]
        yield from (Finding(pods.at, f"selects the pods of {other}") for other in others)
    for item in world.of("Service"):
        taken = [pods for pods in world.pods() if matches({"matchLabels": item["spec"]["selector"]}, pods.labels)]
        if len(taken) != 1 or not item["spec"]["selector"]:
            yield Finding(name_of(item), f"leads to {[pods.at for pods in taken]}")
        for port in item["spec"]["ports"]:
            for pods in taken:
                if port.get("targetPort", port["port"]) not in _ports(pods):
                    yield Finding(name_of(item), f"leads to port {port.get('targetPort')} of {pods.at}")


def _ports(pods: Pods) -> set[str | int]:
    return {port[key] for port in pods.box.get("ports", []) for key in ("name", "containerPort")}


def interruptible(world: World) -> Iterator[Finding]:
    """Nodes can be drained, and something is left while they are."""
    for pods in world.pods("Deployment"):
        held = [one for one in world.of("PodDisruptionBudget") if matches(one["spec"]["selector"], pods.labels)]
        if len(held) != 1:
            yield Finding(pods.at, f"has {len(held)} disruption budgets")
    for item in world.of("PodDisruptionBudget"):
        taken = [pods for pods in world.pods() if matches(item["spec"]["selector"], pods.labels)]
        if len(taken) != 1:
            yield Finding(name_of(item), f"is about {[pods.at for pods in taken]}")
        if item["spec"].get("maxUnavailable") != 1 or "minAvailable" in item["spec"]:
            yield Finding(name_of(item), "lets no node be drained, or too much go at once")
        if item["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield Finding(name_of(item), "keeps a broken pod from being moved")


def routed(world: World) -> Iterator[Finding]:
    for item in world.of("HTTPRoute"):
        for rule in item["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                if not _serves(world, backend["name"], backend["port"]):
                    yield Finding(name_of(item), f"leads to {backend['name']}:{backend['port']}, which is not there")
                if backend["name"] != "gateway-api":
                    yield Finding(name_of(item), "lets clients past the gateway")


def watched(world: World) -> Iterator[Finding]:
    for item in world.of("ServiceMonitor", "PodMonitor"):
        monitors = item["kind"] == "ServiceMonitor"
        targets = list(world.of("Service")) if monitors else [pods.owner for pods in world.pods("Deployment")]
        taken = [one for one in targets if matches(item["spec"]["selector"], _labels(one, monitors=monitors))]
        if not taken:
            yield Finding(name_of(item), "watches nobody")
        for endpoint in item["spec"]["endpoints" if monitors else "podMetricsEndpoints"]:
            if (endpoint["port"], endpoint["path"]) != ("http", "/metrics"):
                yield Finding(name_of(item), "looks at the wrong place")
    about = [one["spec"]["selector"]["matchLabels"] for one in world.of("ServiceMonitor", "PodMonitor")]
    if world.production and {one.get("app.kubernetes.io/component") for one in about} != {"api", "worker"}:
        yield Finding("ServiceMonitor", "some processes are watched by nobody")


def _labels(item: dict[str, Any], *, monitors: bool) -> dict[str, str]:
    meta = item["metadata"] if monitors or item["kind"] not in WORKLOADS else item["spec"]["template"]["metadata"]
    found: dict[str, str] = meta.get("labels", {})
    return found


def _serves(world: World, name: str, port: int) -> bool:
    found = [item for item in world.of("Service") if item["metadata"]["name"] == name]
    return any(one["port"] == port for item in found for one in item["spec"]["ports"])
