"""One OpenAPI document from many: names are prefixed by service, so that none can collide."""

from collections.abc import Mapping
from typing import Any

from perennial.common.problems import ProblemBody
from perennial.gateway.openapi import answers, composed, links
from perennial.gateway.openapi.answers import problem_response
from perennial.gateway.permissions import CUSTOMER, PUBLIC, STAFF, rule_of, scopes_of
from perennial.gateway.proxy.routes import METHODS
from perennial.gateway.sunset import DEPRECATED

__all__ = ["merge", "problem_response"]

OWN = "gateway"
OWN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
_REF = "#/components/"
SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "psk_<id>_<secret>",
        "description": "A partner's or a back end's API key, with scopes.",
    },
    "staffSession": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of a staff session (`POST /v1/staff/sessions`); the role has the scopes.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "On `/v1/me` a customer's token; elsewhere staff, of the OpenID provider that is configured.",
    },
    "writeKey": {
        "type": "http",
        "scheme": "basic",
        "description": "A source's write key as the user name, with an empty password; for tracking only.",
    },
}
_STAFF, _TOKEN, _KEY = "staffSession", "bearer", "apiKey"
# What every service has from common: one copy, under its own name.
_SHARED = frozenset({"ProblemBody", "FieldError"})


def merge(documents: Mapping[str, Mapping[str, Any]], version: str) -> dict[str, Any]:
    """The document of the whole platform, from each service's own."""
    components: dict[str, dict[str, Any]] = {
        "schemas": _shared(),
        "securitySchemes": dict(SECURITY_SCHEMES),
        **answers.components(),
    }
    paths: dict[str, dict[str, Any]] = {}
    for service, document in documents.items():
        renamed = _rename(document, service)
        for kind, named in renamed.get("components", {}).items():
            if kind != "securitySchemes":
                target = components.setdefault(kind, {})
                target.update(
                    {_prefixed(service, name): schema for name, schema in named.items() if name not in _SHARED}
                )
        for template, operations in renamed.get("paths", {}).items():
            if template not in OWN_PATHS or service == OWN:
                paths.setdefault(template, {}).update(_operations(service, template, operations))
    links.add(paths, components["schemas"])
    composed.add(paths, components["schemas"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Perennial",
            "version": version,
            "description": "The customer lifecycle platform: every route of every service, through the gateway.",
        },
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": components,
    }


def _shared() -> dict[str, Any]:
    schema = ProblemBody.model_json_schema(ref_template=_REF + "schemas/{model}")
    return {**schema.pop("$defs", {}), ProblemBody.__name__: schema}


def _prefixed(service: str, name: str) -> str:
    return name if name in _SHARED or name.startswith(f"{service}_") else f"{service}_{name}"


def _rename(value: Any, service: str) -> Any:
    if isinstance(value, dict):
        return {key: _rename(inner, service) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rename(inner, service) for inner in value]
    if isinstance(value, str) and value.startswith(_REF):
        kind, _, name = value.removeprefix(_REF).partition("/")
        return f"{_REF}{kind}/{_prefixed(service, name)}"
    return value


def _operations(service: str, template: str, operations: Mapping[str, Any]) -> dict[str, Any]:
    return {
        method: _operation(service, template, method, found) if method in METHODS else found
        for method, found in operations.items()
    }


def _operation(service: str, template: str, method: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    name = str(operation.get("operationId") or f"{method}_{template}")
    rule = rule_of(method.upper(), template)
    tracked = "tracking" in operation.get("tags", ())
    security = _security(rule, operation, tracked=tracked)
    statuses: answers.Statuses = answers.ALWAYS
    if not tracked:
        statuses += answers.COUNTED
        statuses += answers.PRINCIPALS if security else ()
        statuses += answers.BODIES if "requestBody" in operation else ()
        statuses += answers.BEHIND if service != OWN else ()
    made = {
        **operation,
        "operationId": name if name.startswith(f"{service}_") else f"{service}_{name}",
        "tags": operation.get("tags") if service == OWN else [service],
        "security": security,
        "responses": answers.completed(operation.get("responses", {}), statuses, counted=not tracked),
    }
    if scopes := scopes_of(rule):
        named = " and ".join(f"`{scope}`" for scope in scopes)
        made["description"] = f"{operation.get('description', '')}\n\nScope: {named}.".strip()
    if (method.upper(), template) in DEPRECATED:
        made["deprecated"] = True
    return made


def _security(rule: str | None, operation: Mapping[str, Any], *, tracked: bool) -> list[dict[str, list[str]]]:
    """A service only ever sees internal tokens; what its clients need follows from the table of permissions."""
    said: list[dict[str, list[str]]] | None = operation.get("security")
    if said is not None and (tracked or said == []):
        return said
    if rule == PUBLIC:
        return []
    if rule == CUSTOMER:
        return [{_TOKEN: []}]
    if rule == STAFF:
        return [{_STAFF: []}, {_TOKEN: []}]
    scopes = list(scopes_of(rule))
    return [{_KEY: scopes}, {_STAFF: scopes}, {_TOKEN: scopes}]
