"""What is rendered, as something to ask: objects by kind, pods, settings, secrets."""

import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from deploy.k8s.generate.dependencies import ROOT
from deploy.k8s.keys import made
from deploy.k8s.kubectl import render

Object = dict[str, Any]
# What a release applies before its processes, and the processes.
OVERLAYS = {"dev": ("overlays/dev/prepare", "overlays/dev"), "prod": ("overlays/prod/prepare", "overlays/prod")}
WORKLOADS = ("Deployment", "StatefulSet", "Job")


class Finding(NamedTuple):
    """What is wrong, and with which object."""

    at: str
    text: str


@functools.cache
def _read(folder: str) -> list[Object]:
    return list(yaml.load_all(rendered(folder), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@functools.cache
def rendered(folder: str) -> str:
    """The YAML of one kustomization below deploy/k8s."""
    return render(ROOT / folder)


def name_of(item: Object) -> str:
    """`Kind/name`."""
    return f"{item['kind']}/{item['metadata']['name']}"


def objects_of(overlay: str) -> list[Object]:
    """Everything that an overlay applies, fresh each time; what both steps apply is there once."""
    found: dict[str, Object] = {}
    for folder in OVERLAYS[overlay]:
        for item in copy.deepcopy(_read(folder)):
            held = found.setdefault(name_of(item), item)
            assert held == item, f"{name_of(item)} is one thing before the roll-out and another in it"
    return list(found.values())


@functools.cache
def production() -> list[Object]:
    """The same objects for everybody who only looks at them."""
    return objects_of("prod")


@dataclass(frozen=True)
class Pods:
    """The pods of one workload."""

    owner: Object

    @property
    def at(self) -> str:
        return name_of(self.owner)

    @property
    def ours(self) -> bool:
        return all(box["image"].startswith("perennial/") for box in self.spec["containers"])

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.owner["spec"]["template"]["metadata"].get("labels", {})
        return found

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.owner["spec"]["template"]["spec"]
        return found

    @property
    def box(self) -> dict[str, Any]:
        found: dict[str, Any] = self.spec["containers"][0]
        return found


@dataclass(frozen=True)
class World:
    """Objects that belong together."""

    objects: list[Object]
    production: bool = False

    def of(self, *kinds: str) -> Iterator[Object]:
        return (item for item in self.objects if item["kind"] in kinds)

    def has(self, kind: str, name: str) -> bool:
        return any(item["metadata"]["name"] == name for item in self.of(kind))

    def pods(self, *kinds: str) -> list[Pods]:
        return [Pods(item) for item in self.of(*(kinds or WORKLOADS))]

    def config(self) -> dict[str, dict[str, str]]:
        return {item["metadata"]["name"]: item.get("data", {}) for item in self.of("ConfigMap")}

    def secrets(self) -> Mapping[str, set[str]]:
        """Keys by Secret: what the store gives, or what `keys` makes where there is none."""
        outside = list(self.of("ExternalSecret"))
        if not outside:
            return _made()
        return {item["spec"]["target"]["name"]: _keys(item["spec"]) for item in outside}


@functools.cache
def _made() -> dict[str, set[str]]:
    return {name: set(values) for name, values in made("postgres-rw:5432", "nats:4222").items()}


def _keys(spec: dict[str, Any]) -> set[str]:
    template = spec["target"].get("template", {}).get("data")
    return set(template) if template else {item["secretKey"] for item in spec["data"]}


def matches(selector: dict[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions") or [])


def _holds(rule: dict[str, Any], labels: Mapping[str, str]) -> bool:
    assert rule["operator"] == "In", rule
    return labels.get(rule["key"]) in rule["values"]
