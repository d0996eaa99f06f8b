"""Every generated file, by its path below deploy/k8s."""

from deploy.k8s.generate import external, network, scaling, settings, streams
from deploy.k8s.generate.dependencies import ROOT, dependencies
from perennial.common.streams import write_plan

__all__ = ["ROOT", "generated"]


def generated() -> dict[str, str]:
    """Path and text."""
    found, wanted = dependencies(), streams.planned()
    return {
        **settings.settings_files(),
        "base/ground/services.yaml": network.policies(found),
        "prepare/streams.json": write_plan(wanted),
        "components/keda/workers.yaml": scaling.scaled(found),
        "components/nats-streams/streams.yaml": streams.resources(wanted),
        "components/external-secrets/services.yaml": external.secrets(),
        "components/external-secrets-prepare/jobs.yaml": external.owners(),
    }
