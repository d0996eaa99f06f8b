"""The dependency map, as `dependencies.yaml` says it."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
COMMAND = "make manifests"
PART, NAME, COMPONENT = "app.kubernetes.io/part-of", "app.kubernetes.io/name", "app.kubernetes.io/component"
API = 8000


@dataclass(frozen=True)
class Dependencies:
    """What one service calls, reaches outside, publishes to, and hears: consumers by stream."""

    calls: list[str] = field(default_factory=list)
    reaches: list[str] = field(default_factory=list)
    publishes: list[str] = field(default_factory=list)
    hears: dict[str, list[str]] = field(default_factory=dict)


@functools.cache
def dependencies() -> dict[str, Dependencies]:
    """The map by service."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "dependencies.yaml").read_text())
    return {name: Dependencies(**said) for name, said in read.items()}


def documents(*items: dict[str, Any], why: str) -> str:
    """YAML documents under a line that says where they come from."""
    written = [yaml.safe_dump(item, sort_keys=False, width=120) for item in items]
    return f"# {why} Generated: `{COMMAND}`.\n" + "---\n".join(written)
