"""Who decides how many there are, and by what."""

from collections.abc import Iterator

from deploy.k8s.generate.scaling import MONITOR
from deploy.k8s.generate.streams import planned
from perennial.common import service as services
from tests.k8s.world import Finding, World, name_of


def consumers_of(name: str) -> set[tuple[str, str]]:
    """Stream and consumer of everything that a service hears, as the streams are planned."""
    plan = planned()
    return {
        (stream, str(config.durable_name))
        for stream, configs in plan.consumers.items()
        for config in configs
        if str(config.durable_name).partition("-")[0] == name
    }


def by_consumers_that_exist(world: World) -> Iterator[Finding]:
    for item in world.of("ScaledObject"):
        target = item["spec"]["scaleTargetRef"]["name"]
        name = target.removesuffix("-worker")
        told = [trigger["metadata"] for trigger in item["spec"]["triggers"]]
        lags = {(one.get("stream", ""), one.get("consumer", "")) for one in told}
        if name not in services.names() or lags != consumers_of(name):
            yield Finding(name_of(item), "does not watch exactly the consumers of its service")
        if item["metadata"]["name"] != target or not world.has("Deployment", target):
            yield Finding(name_of(item), "scales something else")
        if any(trigger["type"] != "nats-jetstream" for trigger in item["spec"]["triggers"]):
            yield Finding(name_of(item), "scales by something else than lag")
        if any(one.get("natsServerMonitoringEndpoint") != MONITOR for one in told):
            yield Finding(name_of(item), "asks another broker")
        if any(not one.get("lagThreshold", "").isdecimal() or int(one["lagThreshold"]) < 1 for one in told):
            yield Finding(name_of(item), "has no threshold")
        if not 2 <= item["spec"].get("minReplicaCount", 0) <= item["spec"].get("maxReplicaCount", 0):
            yield Finding(name_of(item), "may leave fewer than two")
        if item["spec"].get("fallback", {}).get("behavior") != "currentReplicasIfHigher":
            yield Finding(name_of(item), "scales down when the broker does not answer")
    yield from _streams(world)


def _streams(world: World) -> Iterator[Finding]:
    """Where a controller makes streams, they are the plan's."""
    plan, made = planned(), {item["spec"].get("name"): item for item in world.of("Stream")}
    if not made:
        return
    for name, config in plan.streams.items():
        item = made.get(name)
        if item is None:
            yield Finding(f"Stream/{name}", "is missing")
            continue
        spec = item["spec"]
        said = (
            spec["subjects"],
            spec["discard"],
            spec["retention"],
            spec["storage"],
            spec["maxBytes"],
            spec["replicas"],
        )
        meant = (config.subjects, "new", config.retention.value, "file", config.max_bytes, 3)  # type: ignore[union-attr]
        if said != meant or spec.get("maxAge") or spec.get("duplicateWindow") != "120s" or not spec.get("allowDirect"):
            yield Finding(f"Stream/{item['metadata']['name']}", "is not the plan's")
        if spec.get("preventDelete") is not True:
            yield Finding(f"Stream/{item['metadata']['name']}", "is lost with its file")
    yield from (
        Finding(f"Stream/{made[name]['metadata']['name']}", "is nobody's") for name in set(made) - set(plan.streams)
    )
    yield from _consumers(world)


def _consumers(world: World) -> Iterator[Finding]:
    plan = planned()
    meant = {
        (stream, str(one.durable_name)): (
            [one.filter_subject] if one.filter_subject else one.filter_subjects,
            one.max_ack_pending,
        )
        for stream, configs in plan.consumers.items()
        for one in configs
    }
    seen = set()
    for item in world.of("Consumer"):
        spec = item["spec"]
        key = (spec["streamName"], spec["durableName"])
        seen.add(key)
        subjects = [spec["filterSubject"]] if "filterSubject" in spec else spec.get("filterSubjects")
        if meant.get(key) != (subjects, spec.get("maxAckPending")):
            yield Finding(name_of(item), "is not the plan's")
        if (spec.get("ackPolicy"), spec.get("ackWait"), spec.get("maxDeliver")) != ("explicit", "30s", -1):
            yield Finding(name_of(item), "may lose what it delivers")
        if spec.get("preventDelete") is not True:
            yield Finding(name_of(item), "is lost with its file")
    yield from (Finding(f"Consumer/{stream}-{name}", "is missing") for stream, name in set(meant) - seen)


def one_scaler_each(world: World) -> Iterator[Finding]:
    """Two would fight; and a number in the file would fight with one."""
    scalers: dict[str, list[str]] = {}
    for item in world.of("ScaledObject", "HorizontalPodAutoscaler"):
        scalers.setdefault(item["spec"]["scaleTargetRef"]["name"], []).append(name_of(item))
    for target, found in scalers.items():
        if len(found) > 1:
            yield from (Finding(one, "is not alone") for one in found)
        if not world.has("Deployment", target):
            yield from (Finding(one, "scales nothing") for one in found)
    for pods in world.pods("Deployment"):
        scaled = pods.owner["metadata"]["name"] in scalers
        if scaled == ("replicas" in pods.owner["spec"]):
            yield Finding(pods.at, "is told a number by two, or by nobody")
    for item in world.of("HorizontalPodAutoscaler"):
        if not 2 <= item["spec"].get("minReplicas", 0) <= item["spec"]["maxReplicas"]:
            yield Finding(name_of(item), "may leave fewer than two")
        if not item["spec"].get("metrics"):
            yield Finding(name_of(item), "scales by nothing")
