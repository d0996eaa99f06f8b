"""Network policies: every service may do what the dependency map says, and nothing else.

Migrations are not services' processes: what they may do stands in base/ground/policies.yaml.
"""

from typing import Any

from deploy.k8s.generate.dependencies import API, COMPONENT, NAME, PART, Dependencies, documents

ROLE = "perennial/role"
# What a stranger's address must not be: ours, our provider's, the node's.
PRIVATE = ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
PRIVATE6 = ["fc00::/7", "fe80::/10"]
PORTS = {"https": [443], "smtp": [25, 465, 587]}


def policies(found: dict[str, Dependencies]) -> str:
    """Two policies for each service: what its pods may reach, and who reaches its API."""
    callers = {name: [other for other, said in found.items() if name in said.calls] for name in found}
    made = [policy for name, said in found.items() for policy in (_outgoing(name, said), _incoming(name, callers))]
    return documents(*made, why="Who may talk to whom, by dependencies.yaml.")


def _outgoing(name: str, said: Dependencies) -> dict[str, Any]:
    egress = [_to(5432, {ROLE: "postgres"}, {ROLE: "pooler"}), _to(4222, {ROLE: "nats"})]
    if said.calls:
        egress.append(_to(API, *({NAME: other, COMPONENT: "api"} for other in said.calls)))
    egress += [_outside(kind) for kind in said.reaches]
    processes = [{"key": COMPONENT, "operator": "In", "values": ["api", "worker"]}]
    made = _policy(name, {NAME: name}, {"policyTypes": ["Egress"], "egress": egress})
    made["spec"]["podSelector"]["matchExpressions"] = processes
    return made


def _incoming(name: str, callers: dict[str, list[str]]) -> dict[str, Any]:
    ingress = [
        {"from": [_pods({NAME: caller}) for caller in callers[name]], "ports": [{"port": API, "protocol": "TCP"}]}
    ]
    if not callers[name]:  # the edge: whoever brings requests in bears a label that the operator gives
        ingress[0]["from"] = [{"namespaceSelector": {"matchLabels": {"perennial/clients": "true"}}}]
    return _policy(f"{name}-api", {NAME: name, COMPONENT: "api"}, {"policyTypes": ["Ingress"], "ingress": ingress})


def _policy(name: str, pods: dict[str, str], rules: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {PART: "perennial", **pods}}, **rules},
    }


def _pods(labels: dict[str, str]) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": labels}}


def _to(port: int, *pods: dict[str, str]) -> dict[str, Any]:
    return {"to": [_pods(labels) for labels in pods], "ports": [{"port": port, "protocol": "TCP"}]}


def _outside(kind: str) -> dict[str, Any]:
    blocks = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": PRIVATE}},
        {"ipBlock": {"cidr": "::/0", "except": PRIVATE6}},
    ]
    return {"to": blocks, "ports": [{"port": port, "protocol": "TCP"} for port in PORTS[kind]]}
