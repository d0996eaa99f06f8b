"""A service's OpenAPI document, completed by what common does for every route."""

from typing import Any

from fastapi import FastAPI

from perennial.common.problems import ProblemBody, documented
from perennial.common.web.checks import PATCH_TYPE
from perennial.common.web.conditional import SHOWN_ONCE

METHODS = ("get", "put", "post", "patch", "delete")
_STRING = {"type": "string"}
HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"description": "The version, for If-Match and If-None-Match.", "schema": _STRING},
    "Location": {"description": "Where the new resource is.", "schema": _STRING},
    "Link": {"description": 'The next page: `<…>; rel="next"`.', "schema": _STRING},
    "Idempotent-Replayed": {"description": "This is the answer of an earlier request.", "schema": {"const": "true"}},
    "Preference-Applied": {"description": "The wish in `Prefer` that was granted.", "schema": _STRING},
    "WWW-Authenticate": {"description": "What is wrong with the credentials.", "schema": _STRING},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that the client has; the answer is 304 when it is still the one.",
    "schema": _STRING,
}
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`return=minimal`: an answer without a body (RFC 7240).",
    "schema": _STRING,
}
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
Operation = dict[str, Any]


def install(app: FastAPI) -> None:
    """Make the application say all that it does."""
    original = app.openapi

    def openapi() -> dict[str, Any]:
        document = original()
        schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        if ProblemBody.__name__ not in schemas:
            schemas.update(schema.pop("$defs", {}))
            schemas[ProblemBody.__name__] = schema
            _bounds(schemas)
            for path, operations in document.get("paths", {}).items():
                _complete(path, operations)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _bounds(value: Any) -> None:
    """What pydantic does not say: bounds of a number that a function looks at first, and that no other names may be."""
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _bounds(inner)
    if isinstance(value, dict) and value.get("type") in ("integer", "number"):
        for ours, theirs in _BOUNDS.items():
            if ours in value:
                value[theirs] = value.pop(ours)
    if isinstance(value, dict) and isinstance(value.get("patternProperties"), dict):
        value.setdefault("additionalProperties", False)


def _complete(path: str, operations: dict[str, Operation]) -> None:
    found = {method: operations[method] for method in METHODS if method in operations}
    versioned = any(_takes(operation, "if-match") for method, operation in found.items() if method != "post")
    for method, operation in found.items():
        _parameters(operation)
        responses: dict[str, Any] = operation["responses"]
        if method == "get" and (versioned or "304" in responses):
            operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
            responses["304"] = {"description": "The client has this version.", "headers": _headers("ETag")}
            _bears(responses, "200", "ETag")
        if method in {"put", "patch"} and _takes(operation, "if-match"):
            headers = _headers("ETag", "Preference-Applied")
            responses["204"] = {"description": "Changed, with `Prefer: return=minimal`.", "headers": headers}
            for status in ("200", "201"):
                _bears(responses, status, "ETag")
        _preferences(method, operation)
        _answers(path, method, operation)


def _preferences(method: str, operation: Operation) -> None:
    """What may be wished of a route, besides what it says itself."""
    responses: dict[str, Any] = operation["responses"]
    creates = method == "post" and "201" in responses and SHOWN_ONCE not in operation
    if (creates or ("204" in responses and method in {"put", "patch"})) and not _takes(operation, "prefer"):
        operation.setdefault("parameters", []).append(_PREFER)
    if _takes(operation, "prefer"):
        for status in ("201", "202"):
            _bears(responses, status, "Preference-Applied")
    if _answer(responses, "202").endswith("/OperationOut"):
        _bears(responses, "202", "Location")


def _parameters(operation: Operation) -> None:
    """A parameter is there or is not: null is nothing that a URL or a header can say."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if schema.pop("x-required", False):
            parameter["required"] = True
        options = [option for option in schema.pop("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            parameter["schema"] = {**options[0], **schema}
        elif options:
            schema["anyOf"] = options
        if parameter["schema"].get("default", "") is None:
            del parameter["schema"]["default"]


def _answers(path: str, method: str, operation: Operation) -> None:
    responses: dict[str, Any] = operation["responses"]
    content = operation.get("requestBody", {}).get("content", {})
    wanted = set()
    if content:
        wanted |= {400, 415}
        if method == "patch":
            content[PATCH_TYPE] = content["application/json"]
    if _takes(operation, "if-match"):
        wanted |= {400, 412}
    if _takes(operation, "idempotency-key"):
        wanted |= {400, 409}
        for status in ("200", "201", "202"):
            _bears(responses, status, "Idempotent-Replayed")
    if _takes(operation, "cursor"):
        wanted.add(400)
        _bears(responses, "200", "Link")
    if "{" in path:
        wanted.add(404)
    _bears(responses, "201", "Location")
    for expected, problem in documented(*wanted).items():
        responses.setdefault(str(expected), problem)
    responses["401"] = {**responses["401"], "headers": _headers("WWW-Authenticate")}
    operation["responses"] = dict(sorted(responses.items()))


def _answer(responses: dict[str, Any], status: str) -> str:
    """The name of the schema of an answer."""
    content: dict[str, Any] = responses.get(status, {}).get("content", {})
    return str(content.get("application/json", {}).get("schema", {}).get("$ref", ""))


def _takes(operation: Operation, name: str) -> bool:
    return any(parameter["name"].lower() == name for parameter in operation.get("parameters", ()))


def _bears(responses: dict[str, Any], status: str, *names: str) -> None:
    if status in responses:
        headers = responses[status].setdefault("headers", {})
        headers.update(_headers(*names))


def _headers(*names: str) -> dict[str, Any]:
    return {name: HEADERS[name] for name in names}
