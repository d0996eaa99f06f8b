"""Alerts, rules and dashboards are about what the code says, and lead to a runbook that exists."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.k8s.generate.dependencies import ROOT
from tests.k8s.metrics import REPOSITORY, exported, known

RULES = yaml.safe_load((ROOT / "components/servicemonitor/rules.yaml").read_text())["spec"]["groups"]
RECORDED = [rule for group in RULES for rule in group["rules"] if "record" in rule]
ALERTS = [rule for group in RULES for rule in group["rules"] if "alert" in rule]
DASHBOARDS = sorted((ROOT / "components/dashboards").glob("*.json"))
# What an issue of this platform asks to see, by the metric that shows it.
ASKED = {
    "requests by route": "perennial_http_duration_seconds_bucket",
    "consumer lag": "perennial_consumer_pending",
    "batch size": "perennial_batch_messages_sum",
    "outbox depth": "perennial_outbox_depth",
    "outbox age": "perennial_outbox_lag_seconds",
    "dead letters": "perennial_parked_waiting",
    "timer lateness": "perennial_timer_lateness_seconds_bucket",
    "pool use": "perennial_pool_connections",
}
VARIABLE = re.compile(r"\$__\w+")
LABELS = {"app", "part", "pod", "namespace", "le"}
EXPORT = """
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest
metrics.set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
meter = metrics.get_meter("perennial")
meter.create_counter("perennial.some.count").add(1)
meter.create_histogram("perennial.some.size").record(1)
meter.create_histogram("perennial.some.time", unit="s").record(1)
meter.create_gauge("perennial.some.depth").set(1)
meter.create_gauge("perennial.some.lag", unit="s").set(1)
print(generate_latest().decode())
"""


def _dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _expressions(path: Path) -> list[str]:
    return [target["expr"] for panel in _dashboard(path)["panels"] for target in panel["targets"]]


def selected(expression: str) -> set[str]:
    """Every series that PromQL asks for. Raises ValueError where it is none; what Grafana fills in is filled in."""
    names: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            names.add(str(node.name))
        return True

    promql_parser.walk(promql_parser.parse(VARIABLE.sub("5m", expression)), pre_visit=visit)
    return names


def test_what_is_no_promql_is_found() -> None:
    assert selected("sum by (app) (rate(perennial_x_total[$__rate_interval])) / on (app) up") == {
        "perennial_x_total",
        "up",
    }
    for wrong in ("rate(x)", "sum(x", "histogram_quantile(x, 0.9)", "x{app=}"):
        with pytest.raises(ValueError, match=r".+"):
            selected(wrong)


def test_names_are_those_of_the_exporter() -> None:
    done = subprocess.run((sys.executable, "-c", EXPORT), check=True, capture_output=True, text=True)
    seen = set(re.findall(r"^(perennial_\w+)\{", done.stdout, re.MULTILINE))
    made = [("counter", "count", ""), ("histogram", "size", ""), ("histogram", "time", "s")]
    made += [("gauge", "depth", ""), ("gauge", "lag", "s")]
    wanted = {name for kind, word, unit in made for name in exported(kind, f"perennial.some.{word}", unit)}
    assert wanted == seen


def test_what_was_asked_for_is_measured_and_shown() -> None:
    said = "".join(rule["expr"] for rule in [*RECORDED, *ALERTS]) + "".join(p.read_text() for p in DASHBOARDS)
    assert {what for what, name in ASKED.items() if name not in known() or name not in said} == set()


@pytest.mark.parametrize("rule", [*RECORDED, *ALERTS], ids=lambda rule: rule.get("record") or rule.get("alert"))
def test_a_rule_is_about_metrics_that_exist(rule: dict[str, Any]) -> None:
    there = known() | {other["record"] for other in RECORDED}
    assert selected(rule["expr"])
    assert selected(rule["expr"]) <= there | {"up"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_metrics_that_exist(path: Path) -> None:
    there = known() | {"up"} | {rule["record"] for rule in RECORDED}
    for expression in _expressions(path):
        assert selected(expression) <= there, expression
    board = _dashboard(path)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert board["uid"] == f"perennial-{path.stem}"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in {"critical", "warning"}


def test_labels_that_rules_ask_for_are_told() -> None:
    """What the code records, and what the monitors add."""
    code = "".join(
        path.read_text()
        for folder in ("libs/common/src", "gateway/src", "services")
        for path in (REPOSITORY / folder).rglob("*.py")
        if "tests" not in path.parts
    )
    asked = {
        label.strip()
        for rule in [*RECORDED, *ALERTS]
        for group in re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"])
        for label in group.split(",")
    }
    assert {label for label in asked - LABELS if f'"{label}": ' not in code} == set()
