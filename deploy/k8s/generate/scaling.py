"""KEDA: workers by the lag of the consumers that they drain."""

from typing import Any

from deploy.k8s.generate.dependencies import Dependencies, documents
from perennial.common.contracts.gateway import STREAM as INGEST
from perennial.common.contracts.identity import RESOLVED_STREAM
from perennial.common.messaging.worker import CONSUMERS

MONITOR = "nats-headless.perennial.svc:8222"
# Messages that one worker may be behind before another one helps; a message of the hot streams holds many events.
HOT_LAG, FACT_LAG = 200, 2000
FEWEST, MOST, MOST_FACTS = 2, 2 * CONSUMERS, 4


def scaled(found: dict[str, Dependencies]) -> str:
    """One ScaledObject for each worker."""
    made = [_object(name, said) for name, said in found.items()]
    return documents(*made, why="Workers follow the lag of their consumers.")


def _object(name: str, said: Dependencies) -> dict[str, Any]:
    hot = {INGEST, RESOLVED_STREAM} & set(said.hears)
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": f"{name}-worker"},
        "spec": {
            "scaleTargetRef": {"name": f"{name}-worker"},
            "minReplicaCount": FEWEST,
            "maxReplicaCount": MOST if hot else MOST_FACTS,
            "pollingInterval": 15,
            "cooldownPeriod": 300,
            # The broker's monitor does not answer: nobody is scaled down on hearsay.
            "fallback": {"failureThreshold": 4, "replicas": FEWEST, "behavior": "currentReplicasIfHigher"},
            "advanced": {
                "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}
            },
            "triggers": [_trigger(stream, one) for stream, consumers in said.hears.items() for one in consumers],
        },
    }


def _trigger(stream: str, consumer: str) -> dict[str, Any]:
    lag = HOT_LAG if stream in {INGEST, RESOLVED_STREAM} else FACT_LAG
    return {
        "type": "nats-jetstream",
        "metadata": {
            "natsServerMonitoringEndpoint": MONITOR,
            "account": "$G",
            "stream": stream,
            "consumer": consumer,
            "lagThreshold": str(lag),
        },
    }
