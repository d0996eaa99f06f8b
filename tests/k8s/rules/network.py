"""The policies, evaluated: who can talk to whom, against the dependency map."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.k8s.generate.dependencies import API, COMPONENT, NAME, PART, dependencies
from deploy.k8s.generate.network import PORTS, PRIVATE, PRIVATE6, ROLE
from tests.k8s.world import Finding, Object, World, matches, name_of

POSTGRES, NATS, ROUTES, MONITOR = 5432, 4222, 6222, 8222
ASKED = (API, POSTGRES, NATS, ROUTES, MONITOR)
Edge = tuple[str, str, int]
# Who in other namespaces comes in, and to what.
FOREIGN_IN = {
    ("gateway-api", "perennial/clients", API),
    ("nats", "keda", MONITOR),
    ("nats", "monitoring", 7777),
    ("nats", "nack", NATS),
}
FOREIGN_PROD = {("postgres", "cnpg-system", API), ("postgres", "cnpg-system", POSTGRES)} | {
    (role, "monitoring", port) for role in ("postgres", "pooler") for port in (9187, 9127)
}


@dataclass(frozen=True)
class End:
    """Pods as policies see them."""

    name: str
    labels: Mapping[str, str]


def ends(world: World) -> list[End]:
    """Every kind of pod: ours, and those that an operator makes or makes superfluous."""
    found = [End(_name(pods.labels), pods.labels) for pods in world.pods()]
    job = {PART: "perennial", NAME: "streams", COMPONENT: "streams"}
    others = [*(End(role, {ROLE: role}) for role in ("postgres", "pooler", "nats")), End("streams", job)]
    return found + [end for end in others if end.name not in {one.name for one in found}]


def _name(labels: Mapping[str, str]) -> str:
    if ROLE in labels:
        return labels[ROLE]
    name, part = labels.get(NAME, "?"), labels.get(COMPONENT, "?")
    return name if name == part else f"{name}-{part}"


def expected(found: list[End]) -> set[Edge]:
    """What the map allows inside the namespace."""
    names, said = {end.name for end in found}, dependencies()
    edges: set[Edge] = {("nats", "nats", ROUTES), ("postgres", "postgres", POSTGRES), ("pooler", "postgres", POSTGRES)}
    edges |= {("provision", "postgres", POSTGRES), ("streams", "nats", NATS)}
    for name, one in said.items():
        edges.add((f"{name}-migrate", "postgres", POSTGRES))
        for part in ("api", "worker"):
            own = f"{name}-{part}"
            edges |= {(own, "postgres", POSTGRES), (own, "pooler", POSTGRES), (own, "nats", NATS)}
            edges |= {(own, f"{other}-api", API) for other in one.calls}
    return {edge for edge in edges if {edge[0], edge[1]} <= names}


def actual(policies: list[Object], found: list[End]) -> set[Edge]:
    """What the policies allow: out of the one and into the other."""
    return {
        (source.name, target.name, port)
        for source in found
        for target in found
        for port in ASKED
        if _passes(policies, "egress", source, target, port) and _passes(policies, "ingress", target, source, port)
    }


def _passes(policies: list[Object], way: str, here: End, there: End, port: int) -> bool:
    held = [p for p in policies if _about(p, way) and matches(p["spec"]["podSelector"], here.labels)]
    return not held or any(_allows(rule, way, there, port) for policy in held for rule in policy["spec"].get(way, []))


def _about(policy: Object, way: str) -> bool:
    return way.capitalize() in policy["spec"]["policyTypes"]


def _allows(rule: dict[str, Any], way: str, there: End, port: int) -> bool:
    ports = [one["port"] for one in rule.get("ports", [])]
    if ports and port not in ports:
        return False
    peers = _peers(rule, way)
    return not peers or any(
        "podSelector" in peer and "namespaceSelector" not in peer and matches(peer["podSelector"], there.labels)
        for peer in peers
    )


def _peers(rule: dict[str, Any], way: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rule.get("from" if way == "ingress" else "to", [])
    return found


def edges_are_the_maps(world: World) -> Iterator[Finding]:
    policies, found = list(world.of("NetworkPolicy")), ends(world)
    should, can = expected(found), actual(policies, found)
    # The operator's pods have ways of their own.
    can -= {("postgres", "postgres", API)}
    yield from (
        Finding(f"NetworkPolicy/{edge[0]}", f"cannot reach {edge[1]}:{edge[2]}") for edge in sorted(should - can)
    )
    yield from (Finding(f"NetworkPolicy/{edge[0]}", f"can reach {edge[1]}:{edge[2]}") for edge in sorted(can - should))
    reached = {(end.name, port) for end in found for port in _outside(policies, end)}
    wanted = {
        (f"{name}-{part}", port)
        for name, said in dependencies().items()
        for part in ("api", "worker")
        for kind in said.reaches
        for port in PORTS[kind]
    }
    for name, port in sorted(reached ^ wanted):
        yield Finding(f"NetworkPolicy/{name}", f"strangers' port {port}: the map and the policies differ")
    yield from _foreign(world, policies, found)


def _outside(policies: list[Object], end: End) -> set[int]:
    found: set[int] = set()
    for policy in policies:
        if matches(policy["spec"]["podSelector"], end.labels):
            for rule in policy["spec"].get("egress", []):
                if any("ipBlock" in peer for peer in _peers(rule, "egress")):
                    found |= {one["port"] for one in rule["ports"]}
    return found


def _foreign(world: World, policies: list[Object], found: list[End]) -> Iterator[Finding]:
    """Other namespaces that may come in, and where ours may go: names, traces."""
    came = {(end.name, *way) for end in found for way in _namespaces(policies, "ingress", end)}
    processes = [f"{name}-{part}" for name in dependencies() for part in ("api", "worker")]
    wanted = set(FOREIGN_IN)
    if world.production:
        ours = [end.name for end in found if end.name not in {"postgres", "pooler", "nats"}]
        wanted |= FOREIGN_PROD | {(name, "monitoring", API) for name in ours}
        wanted |= {("pooler", "cnpg-system", API), ("pooler", "cnpg-system", POSTGRES)}
    for name, where, port in sorted(came ^ wanted):
        yield Finding(f"NetworkPolicy/{name}", f"from {where} to port {port}: not as intended")
    went = {(end.name, *way) for end in found for way in _namespaces(policies, "egress", end)}
    names = {(end.name, "kube-system", 53) for end in found}
    traces = {(name, "observability", 4318) for name in processes} if world.production else set()
    for name, where, port in sorted(went ^ (names | traces)):
        yield Finding(f"NetworkPolicy/{name}", f"to port {port} of {where}: not as intended")


def _namespaces(policies: list[Object], way: str, end: End) -> Iterator[tuple[str, int]]:
    for policy in policies:
        if _about(policy, way) and matches(policy["spec"]["podSelector"], end.labels):
            for rule in policy["spec"].get(way, []):
                for peer in _peers(rule, way):
                    labels = peer.get("namespaceSelector", {}).get("matchLabels", {})
                    for key, value in labels.items():
                        name = value if key == "kubernetes.io/metadata.name" else key
                        yield from ((name, one["port"]) for one in rule["ports"])


def nothing_is_open(world: World) -> Iterator[Finding]:
    """Who is in no policy may do nothing; no rule is without an other side, no stranger has a private address."""
    policies = list(world.of("NetworkPolicy"))
    closed = [p for p in policies if p["spec"]["podSelector"] == {} and not {"ingress", "egress"} & set(p["spec"])]
    if not any({"Ingress", "Egress"} <= set(policy["spec"]["policyTypes"]) for policy in closed):
        yield Finding("NetworkPolicy/nobody", "does not close everything")
    for policy in policies:
        for way in ("ingress", "egress"):
            if policy["spec"].get(way) and not _about(policy, way):
                yield Finding(name_of(policy), f"has rules for {way} that do not count")
            for rule in policy["spec"].get(way, []):
                if "ports" not in rule or (
                    not _peers(rule, way) and name_of(policy) != "NetworkPolicy/postgres-operator"
                ):
                    yield Finding(name_of(policy), "has a rule without ports or without another side")
                yield from (Finding(name_of(policy), text) for text in _blocks(rule, way))
        if not any(matches(policy["spec"]["podSelector"], end.labels) for end in ends(world)):
            yield Finding(name_of(policy), "is about nobody")


def _blocks(rule: dict[str, Any], way: str) -> Iterator[str]:
    for peer in _peers(rule, way):
        if "ipBlock" in peer and peer["ipBlock"].get("except") not in (PRIVATE, PRIVATE6):
            yield f"{peer['ipBlock']['cidr']} includes private addresses"
