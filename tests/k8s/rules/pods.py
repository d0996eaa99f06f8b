"""What a pod may not do, how much it may use, how it is asked, how it leaves."""

from collections.abc import Iterator
from typing import Any

from perennial.common.run import DRAIN_SECONDS, GRACEFUL_SECONDS
from perennial.common.telemetry import FLUSH_MILLISECONDS
from tests.k8s.world import Finding, Pods, World

USER = 10001
PRE_STOP_SECONDS = 3  # what a rolling update needs before nobody sends requests to a pod that goes
UNITS = {"Mi": 2**20, "Gi": 2**30}
POD = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER}
BOX = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def hardened(world: World) -> Iterator[Finding]:
    for pods in world.pods():
        spec, security = pods.spec, pods.spec.get("securityContext", {})
        for key, value in POD.items():
            if security.get(key) != value:
                yield Finding(pods.at, f"securityContext.{key} is not {value}")
        if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield Finding(pods.at, "has no seccomp profile")
        if spec.get("automountServiceAccountToken") is not False:
            yield Finding(pods.at, "has a token of its service account")
        yield from (Finding(pods.at, f"uses {key}") for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
        yield from (Finding(pods.at, "mounts the host") for one in spec.get("volumes", []) if "hostPath" in one)
        for box in (*spec["containers"], *spec.get("initContainers", [])):
            if box.get("securityContext") != BOX:
                yield Finding(pods.at, f"container {box['name']} may more than it should")
        if len(spec["containers"]) != 1:
            yield Finding(pods.at, "has not exactly one container")
        if "nats" not in pods.at and "/tmp" not in _mounts(pods):
            yield Finding(pods.at, "has nowhere to write to")


def _mounts(pods: Pods) -> set[str]:
    empty = {one["name"] for one in pods.spec.get("volumes", []) if "emptyDir" in one}
    return {mount["mountPath"] for mount in pods.box.get("volumeMounts", []) if mount["name"] in empty}


def sized(world: World) -> Iterator[Finding]:
    for pods in world.pods():
        resources = pods.box.get("resources", {})
        requests, limits = resources.get("requests", {}), resources.get("limits", {})
        if not {"cpu", "memory"} <= set(requests) or "memory" not in limits:
            yield Finding(pods.at, "says not how much it needs and may use")
        elif _bytes(limits["memory"]) < _bytes(requests["memory"]):
            yield Finding(pods.at, "may use less than it needs")


def _bytes(written: str) -> int:
    return int(written[:-2]) * UNITS[written[-2:]]


def probed(world: World) -> Iterator[Finding]:
    for pods in world.pods("Deployment", "StatefulSet"):
        probes = {name: pods.box.get(f"{name}Probe") for name in ("startup", "readiness", "liveness")}
        yield from (Finding(pods.at, f"has no {name} probe") for name, probe in probes.items() if not probe)
        ports = {port["name"] for port in pods.box.get("ports", [])}
        for probe in filter(None, probes.values()):
            port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
            if port is not None and port not in ports:
                yield Finding(pods.at, f"is asked at {port}, which it has not")
        if pods.ours and (_path(probes["readiness"]), _path(probes["liveness"])) != ("/readyz", "/healthz"):
            yield Finding(pods.at, "is ready or alive by the wrong answer")
        if pods.ours and _path(probes["startup"]) != "/healthz":
            yield Finding(pods.at, "has started by the wrong answer")


def _path(probe: dict[str, Any] | None) -> str | None:
    found: str | None = (probe or {}).get("httpGet", {}).get("path")
    return found


def leave_in_time(world: World) -> Iterator[Finding]:
    for pods in world.pods("Deployment"):
        sleeps = pods.box.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if sleeps < PRE_STOP_SECONDS:
            yield Finding(pods.at, "is stopped while requests are still sent to it")
        # Requests in hand, the batch in hand, spans and metrics that are still held.
        drains = sleeps + GRACEFUL_SECONDS + DRAIN_SECONDS + 2 * FLUSH_MILLISECONDS / 1000
        if pods.spec.get("terminationGracePeriodSeconds", 30) <= drains:
            yield Finding(pods.at, f"is killed before it has drained, which may take {drains:.0f} s")
        rolling = pods.owner["spec"].get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0:
            yield Finding(pods.at, "has fewer processes while it is rolled out")
    for pods in world.pods("Job"):
        if pods.spec.get("restartPolicy") != "Never" or not pods.owner["spec"].get("activeDeadlineSeconds"):
            yield Finding(pods.at, "may go on for ever")
