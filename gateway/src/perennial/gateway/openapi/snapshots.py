"""The committed OpenAPI documents of the services, so that a service that is down is documented all the same."""

import json
from importlib import resources
from typing import Any

PACKAGE = "perennial.gateway.openapi"
HEARS = "hears.json"


def read_snapshots() -> dict[str, dict[str, Any]]:
    """Each service's document by its name."""
    files = [path for path in resources.files(PACKAGE).iterdir() if path.name.endswith(".json") and path.name != HEARS]
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in sorted(files, key=str)}


def read_hears() -> dict[str, list[str]]:
    """The subjects that each service reacts to."""
    path = resources.files(PACKAGE) / HEARS
    found: dict[str, list[str]] = json.loads(path.read_text()) if path.is_file() else {}
    return found
