"""Answers that the gateway puts together of several services' ones."""

from typing import Any

from perennial.gateway.events.compose import ROUTE
from perennial.gateway.events.schemas import ParkedEvent

_SCHEMAS = "#/components/schemas/"


def add(paths: dict[str, dict[str, Any]], schemas: dict[str, Any]) -> None:
    """Say of an event that it may be a parked one."""
    content = paths.get(ROUTE, {}).get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    if "application/json" not in content:
        return
    made = ParkedEvent.model_json_schema(ref_template=f"{_SCHEMAS}gateway_{{model}}")
    schemas.update({f"gateway_{name}": schema for name, schema in made.pop("$defs", {}).items()})
    schemas["gateway_ParkedEvent"] = made
    event = content["application/json"]["schema"]
    content["application/json"]["schema"] = {"anyOf": [event, {"$ref": f"{_SCHEMAS}gateway_ParkedEvent"}]}
