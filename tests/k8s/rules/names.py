"""Nobody is left out, and everything is where it belongs."""

from collections.abc import Iterator

from perennial.common import service as services
from tests.k8s.world import Finding, World, name_of

CLUSTER_WIDE = {"Namespace"}
PARTS = {
    "Deployment": ("api", "worker"),
    "Service": ("api",),
    "ServiceAccount": ("account",),
    "PodDisruptionBudget": ("api", "worker"),
}


def every_service_is_whole(world: World) -> Iterator[Finding]:
    for name in services.names():
        for kind, parts in PARTS.items():
            for part in parts:
                if not world.has(kind, f"{name}-{part}"):
                    yield Finding(f"{kind}/{name}-{part}", "is missing")
        jobs = [item for item in world.of("Job") if item["metadata"]["name"].startswith(f"{name}-migrate")]
        if len(jobs) != 1:
            yield Finding(f"Job/{name}-migrate", f"is there {len(jobs)} times")


def one_namespace(world: World) -> Iterator[Finding]:
    for item in world.objects:
        if item["kind"] in CLUSTER_WIDE:
            continue
        if item["metadata"].get("namespace") != "perennial":
            yield Finding(name_of(item), "is not in the namespace")
    for item in world.of("Namespace"):
        if item["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            yield Finding(name_of(item), "does not enforce restricted pods")
        if item["metadata"]["name"] != "perennial":
            yield Finding(name_of(item), "is another one")
    yield from _once(world)


def _once(world: World) -> Iterator[Finding]:
    if not any(world.of("Namespace")):
        yield Finding("Namespace/perennial", "is missing")
    seen: set[str] = set()
    for item in world.objects:
        if name_of(item) in seen:
            yield Finding(name_of(item), "is there twice")
        seen.add(name_of(item))
    if any(world.of("Secret")):
        yield Finding("Secret", "has no place in a file")
