"""The plan of the streams: for the Job that applies it, and as resources of the JetStream controller."""

import functools
from typing import Any

from nats.js.api import ConsumerConfig, StreamConfig

from deploy.k8s.generate.dependencies import documents
from perennial.common import service as services
from perennial.common.streams import Plan, plan

REPLICAS = 3


@functools.cache
def planned() -> Plan:
    """What every service together needs."""
    return plan([services.load(name) for name in services.names()], REPLICAS)


def resources(wanted: Plan) -> str:
    """Streams and consumers for the controller; it must never delete one because a file is gone."""
    made = [_stream(config) for config in wanted.streams.values()]
    made += [_consumer(stream, config) for stream, configs in wanted.consumers.items() for config in configs]
    return documents(*made, why="Streams and consumers, by the contracts and the reactions.")


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name.lower()}
    return {"apiVersion": "jetstream.nats.io/v1beta2", "kind": kind, "metadata": meta, "spec": spec}


def _stream(config: StreamConfig) -> dict[str, Any]:
    spec = {
        "name": config.name,
        "subjects": config.subjects,
        "retention": str(config.retention and config.retention.value),
        "discard": str(config.discard and config.discard.value),
        "storage": str(config.storage and config.storage.value),
        "replicas": config.num_replicas,
        "maxBytes": config.max_bytes,
        "duplicateWindow": f"{config.duplicate_window:.0f}s",
        "allowDirect": config.allow_direct,
        "preventDelete": True,
    }
    return _resource("Stream", str(config.name), spec)


def _consumer(stream: str, config: ConsumerConfig) -> dict[str, Any]:
    subjects: dict[str, Any] = {"filterSubjects": config.filter_subjects}
    if config.filter_subject:
        subjects = {"filterSubject": config.filter_subject}
    spec = {
        "streamName": stream,
        "durableName": config.durable_name,
        "ackPolicy": config.ack_policy.value if config.ack_policy else None,
        "ackWait": f"{config.ack_wait:.0f}s",
        "maxDeliver": config.max_deliver,
        "maxAckPending": config.max_ack_pending,
        **subjects,
        "preventDelete": True,
    }
    return _resource("Consumer", f"{stream}-{config.durable_name}", spec)
