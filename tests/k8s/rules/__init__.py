"""Rules that every deployment keeps: each tells what is wrong, and where."""

from collections.abc import Callable, Iterator

from tests.k8s.rules import names, network, pods, references, release, scaling, schemas, settings, watching
from tests.k8s.world import Finding, World

RULES: tuple[Callable[[World], Iterator[Finding]], ...] = (
    schemas.known_and_strict,
    names.one_namespace,
    names.every_service_is_whole,
    pods.hardened,
    pods.sized,
    pods.probed,
    pods.leave_in_time,
    release.pinned,
    release.spread_and_doubled,
    release.durable,
    release.about_the_cluster,
    scaling.by_consumers_that_exist,
    scaling.one_scaler_each,
    references.resolved,
    references.selected,
    references.interruptible,
    references.routed,
    references.watched,
    settings.secrets_are_whole,
    settings.nothing_secret_in_the_open,
    settings.read_and_told,
    settings.read_by_commands,
    watching.told,
    network.nothing_is_open,
    network.edges_are_the_maps,
)


def check(world: World) -> Iterator[Finding]:
    """Everything that is wrong, one by one."""
    return (finding for rule in RULES for finding in rule(world))
