"""Rules that every deployment keeps: each tells what is wrong, and where."""

from collections.abc import Callable, Iterator

from tests.k8s.rules import names, network, pods, references, release, scaling, schemas, settings
from tests.k8s.world import Finding, World

RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    schemas.known_and_strict,
    names.every_service_is_whole,
    names.one_namespace,
    pods.hardened,
    pods.sized,
    pods.probed,
    pods.leave_in_time,
    references.resolved,
    references.selected,
    references.interruptible,
    references.routed,
    settings.read_and_told,
    settings.nothing_secret_in_the_open,
    settings.secrets_are_whole,
    network.edges_are_the_maps,
    network.nothing_is_open,
    scaling.by_consumers_that_exist,
    scaling.one_scaler_each,
    release.pinned,
    release.spread_and_doubled,
    release.durable,
)


def check(world: World) -> list[Finding]:
    """Everything that is wrong."""
    return [finding for rule in RULES for finding in rule(world)]
