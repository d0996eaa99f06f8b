"""Every object has a schema, and no field that the schema does not know."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
from jsonschema import Draft7Validator

from tests.k8s.world import Finding, Object, World, name_of

KUBERNETES = "1.37"
SCHEMAS = Path(__file__).parents[1] / "schemas"


# By identity, and held, so that no other object gets it: the same ones are asked about hundreds of times.
_JUDGED: dict[int, tuple[Object, list[str]]] = {}


def known_and_strict(world: World) -> Iterator[Finding]:
    for item in world.objects:
        if id(item) not in _JUDGED:
            _JUDGED[id(item)] = item, wrong(item)
        yield from (Finding(name_of(item), text) for text in _JUDGED[id(item)][1])


def wrong(item: Object) -> list[str]:
    """What the schema has against an object. An unknown kind is wrong itself."""
    group, _, version = item["apiVersion"].rpartition("/")
    path = SCHEMAS / group / f"{item['kind'].lower()}_{version}.json"
    if path.exists():
        return [f"{error.json_path}: {error.message[:200]}" for error in _validator(path).iter_errors(item)]
    try:
        kubernetes_validate.validate(item, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message[:200]]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"no schema for {item['apiVersion']} {item['kind']}"]
    return []


@functools.cache
def _validator(path: Path) -> Any:
    """The schema, closed at the top: a custom resource has these five and nothing else."""
    schema = json.loads(path.read_text())
    schema["properties"] = {"apiVersion": {}, "kind": {}, "metadata": {}, **schema["properties"]}
    schema["additionalProperties"] = False
    schema["required"] = sorted({*schema.get("required", ()), "apiVersion", "kind", "metadata", "spec"})
    return Draft7Validator(schema)
