"""What the development overlay renders, as pods for `podman kube play`, which knows no Deployments and no Jobs."""

import copy
from collections.abc import Iterable
from typing import Any

import yaml

from deploy.k8s.keys import made
from tests.k8s.world import Object, objects_of

# podman has no kubelet: who polls, schedules and stops gently is not there. `Cluster` polls.
UNKNOWN_TO_PODS = ("serviceAccountName", "topologySpreadConstraints", "terminationGracePeriodSeconds")
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
# Ports are open to other pods in any case; podman would open them to the host.
UNKNOWN_TO_BOXES = (*PROBES, "lifecycle", "ports")
SERVERS = {"postgres": "postgres-rw", "nats": "nats"}


class Overlay:
    """The objects of the development overlay, its secrets included."""

    def __init__(self) -> None:
        self.objects = objects_of("dev")
        self.secrets = made("postgres-rw:5432", "nats:4222")

    def of(self, kind: str) -> dict[str, Object]:
        """Objects of a kind by name."""
        return {item["metadata"]["name"]: item for item in self.objects if item["kind"] == kind}

    def settings(self) -> list[Object]:
        """ConfigMaps."""
        return list(self.of("ConfigMap").values())

    def servers(self) -> dict[str, Object]:
        """Postgres and NATS as pods named like their Services."""
        return {SERVERS[name]: _pod(SERVERS[name], item, "Always") for name, item in self.of("StatefulSet").items()}

    def jobs(self, names: Iterable[str]) -> dict[str, Object]:
        """Jobs as pods that begin again until they have ended well."""
        return {name: _pod(name, self.of("Job")[name], "OnFailure") for name in names}

    def processes(self, services: list[str]) -> dict[str, Object]:
        """The API and the worker of each service as pods; an API's bears the name of its Service."""
        found = self.of("Deployment")
        names = [f"{service}-{part}" for service in services for part in ("api", "worker")]
        return {name: _pod(name, found[name], "Always") for name in names}

    def probes(self, name: str) -> dict[str, tuple[str, int]]:
        """Path and port of each probe of a Deployment, by the probe."""
        box = self.of("Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in box["ports"]}
        asked = {probe: box[probe]["httpGet"] for probe in PROBES}
        return {probe: (get["path"], ports[get["port"]]) for probe, get in asked.items()}

    def command(self, name: str) -> list[str]:
        """What the readiness probe of a StatefulSet runs."""
        box = self.of("StatefulSet")[name]["spec"]["template"]["spec"]["containers"][0]
        found: list[str] = box["readinessProbe"]["exec"]["command"]
        return found

    def port_of(self, name: str) -> tuple[int, int]:
        """The port of a Service, and the one of its pods that it leads to."""
        port = self.of("Service")[name]["spec"]["ports"][0]
        box = self.of("Deployment")[name]["spec"]["template"]["spec"]["containers"][0]
        return port["port"], {one["name"]: one["containerPort"] for one in box["ports"]}[port["targetPort"]]


def text(objects: list[Object]) -> str:
    """YAML of several."""
    return "---\n".join(yaml.safe_dump(item, sort_keys=False) for item in objects)


def _pod(name: str, owner: Object, restart: str) -> Object:
    spec: dict[str, Any] = copy.deepcopy(owner["spec"]["template"]["spec"])
    for key in UNKNOWN_TO_PODS:
        spec.pop(key, None)
    claims = owner["spec"].get("volumeClaimTemplates", [])
    spec.setdefault("volumes", []).extend({"name": claim["metadata"]["name"], "emptyDir": {}} for claim in claims)
    for volume in spec["volumes"]:
        # podman's volumes are everybody's, Kubernetes' the pod's own.
        if "emptyDir" in volume:
            volume["name"] = f"{name}-{volume['name']}"
    empty = {volume["name"] for volume in spec["volumes"]}
    for box in spec["containers"]:
        for mount in box.get("volumeMounts", []):
            if f"{name}-{mount['name']}" in empty:
                mount["name"] = f"{name}-{mount['name']}"
        for key in UNKNOWN_TO_BOXES:
            box.pop(key, None)
        box |= {"image": f"localhost/{box['image']}", "imagePullPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": owner["spec"]["template"]["metadata"]["labels"]},
        "spec": spec | {"restartPolicy": restart},
    }
