"""Alerts and dashboards are about metrics that exist, and say where to read on."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.k8s.metrics import NAMED, REPOSITORY, known
from tests.k8s.world import Finding, World, name_of

DASHBOARD = "grafana_dashboard"


def told(world: World) -> Iterator[Finding]:
    """Every series that is named is exported, or recorded beside."""
    rules = [rule for item in world.of("PrometheusRule") for rule in _rules(item)]
    there = known() | {rule["record"] for rule in rules if "record" in rule}
    for item in world.of("PrometheusRule"):
        for rule in _rules(item):
            if unknown := set(NAMED.findall(rule["expr"])) - there:
                yield Finding(name_of(item), f"{sorted(unknown)} is told by nobody")
            if "alert" in rule and not _leads(rule.get("annotations", {}).get("runbook_url", "")):
                yield Finding(name_of(item), f"{rule['alert']} does not say what to do")
    yield from _dashboards(world, there)
    if world.production and not rules:
        yield Finding("PrometheusRule/perennial", "is missing")
    if world.production and not world.has("ConfigMap", "dashboards"):
        yield Finding("ConfigMap/dashboards", "is missing")


def _dashboards(world: World, there: set[str]) -> Iterator[Finding]:
    for item in world.of("ConfigMap"):
        if DASHBOARD in item["metadata"].get("labels", {}):
            for key, text in item["data"].items():
                if not key.endswith(".json"):
                    yield Finding(name_of(item), f"{key} is no dashboard")
                elif unknown := {name for one in _asked(text) for name in NAMED.findall(one)} - there:
                    yield Finding(name_of(item), f"{sorted(unknown)} is told by nobody")


def _rules(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in item["spec"]["groups"] for rule in group["rules"]]


def _asked(text: str) -> list[str]:
    return [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]


def _leads(url: str) -> bool:
    file, _, anchor = url.partition("#")
    if not (REPOSITORY / file).is_file():
        return False
    headings = re.findall(r"^#+ (.*)$", (REPOSITORY / file).read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
