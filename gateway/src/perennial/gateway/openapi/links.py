"""Links: where a new thing is found, and the things in a list, so that clients and tests can follow them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_PARAMETER = re.compile(r"\{(\w+)\}")
Paths = dict[str, dict[str, Any]]


def add(paths: Paths, schemas: Mapping[str, Any]) -> None:
    """Link each POST that makes something, and each list, to the operations on what it answers with."""
    for path, operations in paths.items():
        targets = dict(_targets(paths, path))
        for method, status, at in (("post", "201", ""), ("get", "200", "items/0/")):
            response = operations.get(method, {}).get("responses", {}).get(status)
            if response and targets:
                _link(response, targets, at, schemas)


def _targets(paths: Paths, path: str) -> Iterator[tuple[str, str]]:
    """The operations right below a path and its one parameter: operationId and the parameter's name."""
    for template, operations in paths.items():
        rest = template.removeprefix(path)
        names = _PARAMETER.findall(rest)
        if template.startswith(path) and rest.startswith("/{") and len(names) == 1:
            yield from ((found["operationId"], names[0]) for found in operations.values() if "operationId" in found)


def _link(response: dict[str, Any], targets: Mapping[str, str], at: str, schemas: Mapping[str, Any]) -> None:
    schema = _schema(response.get("content", {}).get("application/json", {}).get("schema", {}), schemas)
    if at:
        schema = _schema(schema.get("properties", {}).get("items", {}).get("items", {}), schemas)
    members = schema.get("properties", {})
    links = {}
    for operation, name in targets.items():
        member = next((known for known in (name, "id", "key", "name") if known in members), None)
        if member is not None:
            links[operation] = {"operationId": operation, "parameters": {name: f"$response.body#/{at}{member}"}}
    if links:
        response["links"] = links


def _schema(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    found: Mapping[str, Any] = schemas.get(reference.rpartition("/")[2], {}) if reference else schema
    return found
