"""One OpenAPI document from many: names are prefixed by service, so that none can collide."""

from collections.abc import Mapping
from typing import Any

from perennial.common.problems import ProblemBody
from perennial.gateway.proxy.routes import METHODS, is_customers_own

OWN = "gateway"
OWN_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"})
PROBLEM = {"$ref": "#/components/schemas/ProblemBody"}
_REF = "#/components/"
_EDGE = {
    "401": "No principal, or one that is unknown, expired or revoked.",
    "403": "The principal may not do this.",
    "502": "The service behind the gateway answered nonsense.",
    "503": "The service behind the gateway is not reachable; `Retry-After` says when to try again.",
    "504": "The service behind the gateway did not answer in time.",
}
SECURITY_SCHEMES = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "psk_<id>_<secret>",
        "description": "A partner's or a back end's API key.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A customer token; for `/v1/me` only.",
    },
    "writeKey": {
        "type": "http",
        "scheme": "basic",
        "description": "A source's write key as the user name, with an empty password; for tracking only.",
    },
}
# What every service has from common: one copy, under its own name.
_SHARED = frozenset({"ProblemBody", "FieldError"})


def merge(documents: Mapping[str, Mapping[str, Any]], version: str) -> dict[str, Any]:
    """The document of the whole platform, from each service's own."""
    components: dict[str, dict[str, Any]] = {
        "schemas": _shared(),
        "securitySchemes": dict(SECURITY_SCHEMES),
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
    public = operation.get("security") == []
    edge = {} if public or service == OWN else _EDGE
    responses = {status: problem_response(said) for status, said in edge.items()}
    return {
        **operation,
        "operationId": name if name.startswith(f"{service}_") else f"{service}_{name}",
        "tags": operation.get("tags") if service == OWN else [service],
        "security": _security(service, template, operation),
        "responses": {**responses, **operation.get("responses", {})},
    }


def _security(service: str, template: str, operation: Mapping[str, Any]) -> list[dict[str, list[str]]]:
    """A service only ever sees internal tokens; what its clients need follows from the path."""
    said: list[dict[str, list[str]]] | None = operation.get("security")
    if said is not None and (said == [] or service == OWN):
        return said
    return [{"bearer": []}] if is_customers_own(template) else [{"apiKey": []}]


def problem_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}
