"""The metrics that the code makes, by the names under which Prometheus sees them."""

import ast
import functools
import re
from collections.abc import Iterator

from deploy.k8s.generate.dependencies import ROOT

REPOSITORY = ROOT.parents[1]
MAKERS = {
    "create_counter": "counter",
    "create_observable_counter": "counter",
    "create_histogram": "histogram",
    "create_gauge": "gauge",
    "create_observable_gauge": "gauge",
    "create_up_down_counter": "gauge",
}
ENDS = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
UNITS = {"s": "_seconds", "": ""}
NAMED = re.compile(r"\b(?:perennial_[a-z0-9_]+|perennial:[a-z0-9_:]+)")


@functools.cache
def known() -> set[str]:
    """Every series that some process of ours exports."""
    sources = [*REPOSITORY.glob("libs/common/src/**/*.py"), *REPOSITORY.glob("gateway/src/**/*.py")]
    sources += REPOSITORY.glob("services/*/src/**/*.py")
    return {name for path in sources if "create_" in (text := path.read_text()) for name in _made(ast.parse(text))}


def _made(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS:
            name = node.args[0]
            assert isinstance(name, ast.Constant), "a metric's name is written where it is made"
            units = [word.value.value for word in node.keywords if word.arg == "unit"]  # type: ignore[attr-defined]
            yield from exported(MAKERS[node.func.attr], str(name.value), *units)


def exported(kind: str, name: str, unit: str = "") -> list[str]:
    """What Prometheus calls an instrument's series."""
    return [f"{name.replace('.', '_')}{UNITS[unit]}{end}" for end in ENDS[kind]]
