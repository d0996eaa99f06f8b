"""What people get wrong in manifests, by kind: each changes one object in a way that some rule must notice."""

from collections.abc import Callable
from typing import Any

from tests.k8s.world import Object

Mistake = Callable[[Object], Any]


def _pods(item: Object) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]
    return found


def _box(item: Object) -> dict[str, Any]:
    found: dict[str, Any] = _pods(item)["containers"][0]
    return found


def _first(item: Object, *path: str) -> Any:
    """The first entry of the list below `spec`."""
    held: Any = item["spec"]
    for step in path:
        held = held[step]
    return held[0]


def _key(data: dict[str, Any]) -> str:
    return min(data)


def _rename_key(item: Object) -> None:
    data = item["data"]
    data["PERENNIAL_NOBODY_READS"] = data.pop(_key(data))


def _spell(item: Object) -> None:
    item["spec"]["replica"] = 1


POD: dict[str, Mistake] = {
    "root": lambda item: _pods(item)["securityContext"].update(runAsNonRoot=False),
    "another user": lambda item: _pods(item)["securityContext"].pop("runAsUser"),
    "no seccomp": lambda item: _pods(item)["securityContext"].pop("seccompProfile"),
    "a token": lambda item: _pods(item).pop("automountServiceAccountToken"),
    "the host's network": lambda item: _pods(item).update(hostNetwork=True),
    "a folder of the host": lambda item: _pods(item)["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "a root that can be written": lambda item: _box(item)["securityContext"].update(readOnlyRootFilesystem=False),
    "capabilities": lambda item: _box(item)["securityContext"].pop("capabilities"),
    "privileges": lambda item: _box(item)["securityContext"].update(privileged=True),
    "no limit": lambda item: _box(item)["resources"].pop("limits"),
    "no request": lambda item: _box(item)["resources"]["requests"].pop("cpu"),
    "a limit too small": lambda item: _box(item)["resources"]["limits"].update(memory="16Mi"),
    "latest": lambda item: _box(item).update(image="perennial/gateway:latest"),
    "a Secret that nobody makes": lambda item: _box(item).update(envFrom=[{"secretRef": {"name": "typo"}}]),
    "nowhere to write": lambda item: _box(item).pop("volumeMounts"),
    "a field misspelt": _spell,
    "two containers": lambda item: _pods(item)["containers"].append({**_box(item), "name": "side"}),
    "the wrong program": lambda item: _box(item).update(args=["perennial.common.operate"]),
}
SERVED: dict[str, Mistake] = {
    "no startup probe": lambda item: _box(item).pop("startupProbe"),
    "no liveness": lambda item: _box(item).pop("livenessProbe"),
    "ready as long as it lives": lambda item: _box(item)["readinessProbe"]["httpGet"].update(path="/healthz"),
    "alive only while Postgres is": lambda item: _box(item)["livenessProbe"]["httpGet"].update(path="/readyz"),
    "a port that is not there": lambda item: _box(item)["readinessProbe"]["httpGet"].update(port="web"),
    "no preStop": lambda item: _box(item).pop("lifecycle"),
    "killed while it drains": lambda item: _pods(item).update(terminationGracePeriodSeconds=30),
    "fewer while it is rolled out": lambda item: item["spec"].pop("strategy"),
    "somebody else's pods": lambda item: item["spec"]["selector"]["matchLabels"].pop("app.kubernetes.io/name"),
    "nobody's pods": lambda item: item["spec"]["selector"]["matchLabels"].update(extra="no"),
    "an account that is not there": lambda item: _pods(item).update(serviceAccountName="default-2"),
    "no settings": lambda item: _box(item)["envFrom"].pop(1),
    "another service's secrets": lambda item: _box(item)["envFrom"][2]["secretRef"].update(name="gateway-owner"),
    "a number for the autoscaler, or none": lambda item: (
        item["spec"].pop("replicas") if "replicas" in item["spec"] else item["spec"].update(replicas=1)
    ),
    "all on one node": lambda item: _pods(item).pop("topologySpreadConstraints"),
    "a tag": lambda item: _box(item).update(image=_box(item)["image"].partition("@")[0] + ":0.1.0"),
    "neither API nor worker": lambda item: _box(item).update(args=["perennial.common.run"]),
}

MISTAKES: dict[str, dict[str, Mistake]] = {
    "Deployment": POD | SERVED,
    "Job": POD
    | {
        "no end": lambda item: item["spec"].pop("activeDeadlineSeconds"),
        "started again in place": lambda item: _pods(item).update(restartPolicy="OnFailure"),
    },
    "ConfigMap": {
        "a key that nobody reads": _rename_key,
        "a secret": lambda item: item["data"].update(PERENNIAL_DATABASE_URL="postgresql://a:b@c/d"),
        "a name that nobody knows": lambda item: item["metadata"].update(name="typo"),
    },
    "Service": {
        "leads nowhere": lambda item: item["spec"]["selector"].update({"app.kubernetes.io/name": "typo"}),
        "leads to several": lambda item: item["spec"]["selector"].pop("app.kubernetes.io/name"),
        "another port": lambda item: _first(item, "ports").update(targetPort="web"),
        "a field misspelt": lambda item: _first(item, "ports").update(targetport=1),
    },
    "ServiceAccount": {
        "a token": lambda item: item.pop("automountServiceAccountToken"),
        "another name": lambda item: item["metadata"].update(name="typo"),
    },
    "PodDisruptionBudget": {
        "no node can be drained": lambda item: item["spec"].update(maxUnavailable=0),
        "all may go": lambda item: item["spec"].update(maxUnavailable="100%"),
        "about nobody": lambda item: item["spec"]["selector"]["matchLabels"].update(extra="no"),
        "a broken pod stays": lambda item: item["spec"].pop("unhealthyPodEvictionPolicy"),
    },
    "NetworkPolicy": {
        "about nobody": lambda item: item["spec"].update(podSelector={"matchLabels": {"extra": "no"}}),
        "counts for nothing": lambda item: item["spec"].update(policyTypes=[]),
        "open": lambda item: item["spec"].update(egress=[{}], ingress=[{}], policyTypes=["Ingress", "Egress"]),
        "closed": lambda item: (
            [item["spec"].pop(way, None) for way in ("ingress", "egress")]
            if {"ingress", "egress"} & set(item["spec"])
            else item["spec"].update(podSelector={"matchLabels": {"extra": "no"}})
        ),
        "elsewhere": lambda item: item["metadata"].update(namespace="default"),
    },
    "Namespace": {
        "privileged pods": lambda item: item["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce"),
        "another name": lambda item: item["metadata"].update(name="typo"),
    },
    "ScaledObject": {
        "a consumer that is not there": lambda item: _first(item, "triggers")["metadata"].update(consumer="typo"),
        "a stream that is not there": lambda item: _first(item, "triggers")["metadata"].update(stream="TYPO"),
        "a consumer forgotten": lambda item: item["spec"]["triggers"].pop(),
        "another target": lambda item: item["spec"]["scaleTargetRef"].update(name="gateway-api"),
        "no threshold": lambda item: _first(item, "triggers")["metadata"].pop("lagThreshold"),
        "down to nothing": lambda item: item["spec"].update(minReplicaCount=0),
        "down when the broker is": lambda item: item["spec"].pop("fallback"),
        "a field misspelt": lambda item: item["spec"].update(maxReplicas=3),
    },
    "HorizontalPodAutoscaler": {
        "beside KEDA": lambda item: item["spec"]["scaleTargetRef"].update(name="profile-worker"),
        "nothing to scale": lambda item: item["spec"]["scaleTargetRef"].update(name="typo"),
        "down to one": lambda item: item["spec"].update(minReplicas=1),
        "by nothing": lambda item: item["spec"].pop("metrics"),
    },
    "ExternalSecret": {
        "another store": lambda item: item["spec"]["secretStoreRef"].update(name="typo"),
        "another name": lambda item: item["spec"]["target"].update(name="typo"),
        "a key misspelt": lambda item: _misspell(item["spec"]),
        "a field misspelt": lambda item: item["spec"].update(refresh="1h"),
    },
    "HTTPRoute": {
        "past the gateway": lambda item: item["spec"]["rules"][0]["backendRefs"][0].update(name="profile-api"),
        "another port": lambda item: item["spec"]["rules"][0]["backendRefs"][0].update(port=8080),
        "a field misspelt": lambda item: item["spec"].update(hosts=[]),
    },
    "ServiceMonitor": {
        "watches nobody": lambda item: item["spec"]["selector"]["matchLabels"].update(extra="no"),
        "another path": lambda item: _first(item, "endpoints").update(path="/stats"),
    },
    "PodMonitor": {
        "watches nobody": lambda item: item["spec"]["selector"]["matchLabels"].update(extra="no"),
        "another port": lambda item: _first(item, "podMetricsEndpoints").update(port="web"),
    },
    "PrometheusRule": {
        "a metric that is not there": lambda item: _first(item, "groups")["rules"][0].update(
            expr="perennial_typo_total"
        ),
        "a runbook that is not there": lambda item: item["spec"]["groups"][1]["rules"][0]["annotations"].update(
            runbook_url="docs/operations.md#typo"
        ),
        "a field misspelt": lambda item: _first(item, "groups").update(rule=[]),
    },
    "Stream": {
        "drops what is old": lambda item: item["spec"].update(discard="old"),
        "drops by age": lambda item: item["spec"].update(maxAge="24h"),
        "another subject": lambda item: item["spec"].update(subjects=["typo.>"]),
        "one replica": lambda item: item["spec"].update(replicas=1),
        "in memory": lambda item: item["spec"].update(storage="memory"),
        "lost with its file": lambda item: item["spec"].pop("preventDelete"),
        "another name": lambda item: item["spec"].update(name="TYPO"),
    },
    "Consumer": {
        "gives up": lambda item: item["spec"].update(maxDeliver=5),
        "hears something else": lambda item: item["spec"].update(filterSubject="typo.>"),
        "another stream": lambda item: item["spec"].update(streamName="TYPO"),
        "acknowledged unasked": lambda item: item["spec"].update(ackPolicy="none"),
        "lost with its file": lambda item: item["spec"].pop("preventDelete"),
        "another name": lambda item: item["spec"].update(durableName="typo"),
    },
    "Cluster": {
        "asynchronous": lambda item: item["spec"]["postgresql"].pop("synchronous"),
        "durable when convenient": lambda item: item["spec"]["postgresql"]["synchronous"].update(
            dataDurability="preferred"
        ),
        "two instances": lambda item: item["spec"].update(instances=2),
        "no backup": lambda item: item["spec"].pop("backup"),
        "unknown to the policies": lambda item: item["spec"].pop("inheritedMetadata"),
        "any version": lambda item: item["spec"].update(imageName="postgresql:latest"),
    },
    "Pooler": {
        "another cluster": lambda item: item["spec"]["cluster"].update(name="typo"),
        "unknown to the policies": lambda item: item["spec"]["template"]["metadata"].update(labels={"a": "b"}),
        "forgets statements": lambda item: item["spec"]["pgbouncer"]["parameters"].pop("max_prepared_statements"),
    },
    "ScheduledBackup": {
        "never": lambda item: item["spec"].update(suspend=True),
        "another cluster": lambda item: item["spec"]["cluster"].update(name="typo"),
        "five fields, of which the first are not seconds": lambda item: item["spec"].update(schedule="30 3 * * *"),
    },
}


def _misspell(spec: dict[str, Any]) -> None:
    data = spec["target"].get("template", {}).get("data")
    if data:
        data["PERENNIAL_TYPO"] = data.pop(_key(data))
    else:
        spec["data"][0]["secretKey"] = "TYPO"
