"""What only production must have: digests, two of everything, no single point."""

import re
from collections.abc import Iterator

from tests.k8s.world import Finding, World, name_of

DIGEST = re.compile(r"perennial/[a-z]+@sha256:[0-9a-f]{64}")


def pinned(world: World) -> Iterator[Finding]:
    for pods in world.pods():
        for box in pods.spec["containers"]:
            image = box["image"]
            if image.endswith(":latest") or (":" not in image and not pods.ours):
                yield Finding(pods.at, f"{image} may be anything tomorrow")
            if world.production and not DIGEST.fullmatch(image):
                yield Finding(pods.at, f"{image} is not pinned by its digest")
            service = pods.labels.get("app.kubernetes.io/name")
            wanted = "gateway" if service in {"provision", "streams"} else service
            if pods.ours and image.partition("@")[0].partition(":")[0] != f"perennial/{wanted}":
                yield Finding(pods.at, f"{image} is another service")
            if pods.ours and box.get("args", [""])[0] != _module(pods.labels.get("app.kubernetes.io/component", "")):
                yield Finding(pods.at, "runs something else")
    for item in world.of("Cluster"):
        if not re.search(r":\d", item["spec"].get("imageName", "")):
            yield Finding(name_of(item), "may be any Postgres tomorrow")


def _module(component: str) -> str:
    modules = {"migrate": "db.migrate", "provision": "db.provision", "streams": "streams"}
    return f"perennial.common.{modules.get(component, 'run')}"


def spread_and_doubled(world: World) -> Iterator[Finding]:
    for pods in world.pods("Deployment"):
        part = pods.labels.get("app.kubernetes.io/component")
        if f"--{part}" not in pods.box.get("args", []):
            yield Finding(pods.at, f"does not run the {part}")
        if not world.production:
            continue
        if pods.owner["spec"].get("replicas", 2) < 2:
            yield Finding(pods.at, "is alone")
        keys = {one["topologyKey"] for one in pods.spec.get("topologySpreadConstraints", [])}
        if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
            yield Finding(pods.at, "may be on one node altogether")


def durable(world: World) -> Iterator[Finding]:
    """Nothing that was acknowledged is on one disk only."""
    for item in world.of("Cluster"):
        spec = item["spec"]
        wanted = {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True}
        if spec["postgresql"].get("synchronous") != wanted or spec["instances"] < 3:
            yield Finding(name_of(item), "may lose what it has acknowledged")
        if spec.get("inheritedMetadata", {}).get("labels") != {"perennial/role": "postgres"}:
            yield Finding(name_of(item), "is not who the policies know")
        if not spec.get("backup", {}).get("barmanObjectStore"):
            yield Finding(name_of(item), "is not backed up")


def about_the_cluster(world: World) -> Iterator[Finding]:
    """The pooler and the backups are those of the cluster that is there."""
    clusters = {item["metadata"]["name"] for item in world.of("Cluster")}
    for item in world.of("Pooler", "ScheduledBackup"):
        if item["spec"]["cluster"]["name"] not in clusters:
            yield Finding(name_of(item), "is about another cluster")
    for item in world.of("Pooler"):
        if item["spec"]["template"]["metadata"]["labels"] != {"perennial/role": "pooler"}:
            yield Finding(name_of(item), "is not who the policies know")
        if "max_prepared_statements" not in item["spec"]["pgbouncer"].get("parameters", {}):
            yield Finding(name_of(item), "forgets prepared statements")
    for item in world.of("ScheduledBackup"):
        if item["spec"].get("suspend") or len(item["spec"]["schedule"].split()) != 6:
            yield Finding(name_of(item), "never runs")
