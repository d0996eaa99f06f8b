"""The tracking routes in the OpenAPI document: permissive, because the server accepts what is malformed."""

from typing import Any

from perennial.gateway.openapi.merge import problem_response
from perennial.gateway.tracking.api import BATCH_PATHS, DISCARDED_PATHS, SINGLE_PATHS

_WRITE_KEY: list[dict[str, list[str]]] = [{"writeKey": []}, {}]
_ERRORS = {
    "400": "The request is malformed; on single-event routes, the event is.",
    "401": "The write key is missing, unknown or disabled.",
    "403": "This source may not do that (import, origin).",
    "413": "The body or the event is too large.",
    "415": "Content-Encoding is neither gzip nor identity.",
    "429": "This source sends more than it may: again after `Retry-After` seconds.",
    "503": "The events could not be stored: send them again after `Retry-After` seconds.",
}
_DOCUMENT_ERRORS = {
    "400": "Host is not a host name.",
    "401": "The write key is missing or unknown.",
    "404": "The write key is unknown.",
}
_EVENT = {
    "type": "object",
    "description": "A Segment event: identify, track, page, screen, group or alias.",
    "additionalProperties": True,
}
_BATCH = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {"type": "array", "items": {}, "maxItems": 2500},
        "sentAt": {"description": "ISO 8601; the client's clock when it sent, to correct its timestamps."},
        "writeKey": {"description": "The write key, where no Authorization header can be set."},
        "context": {
            "type": ["object", "null"],
            "description": "Merged under each event's own. `import: true` marks history, from sources that may.",
            "additionalProperties": True,
        },
        "integrations": {"type": ["object", "null"], "additionalProperties": True},
    },
    "additionalProperties": True,
}
_ACCEPTED = {
    "type": "object",
    "required": ["success", "accepted", "rejected"],
    "properties": {
        "success": {"const": True},
        "accepted": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "messageId", "code", "message"],
                "properties": {
                    "index": {"type": "integer"},
                    "messageId": {"type": ["string", "null"]},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def paths() -> dict[str, Any]:
    """Every tracking path."""
    batches = {path: {"post": _operation(path, "Send a batch of events.", _BATCH)} for path in BATCH_PATHS}
    singles = {path: {"post": _operation(path, f"Send one {kind}.", _EVENT)} for path, kind in SINGLE_PATHS.items()}
    discarded = {path: {"post": _discarded(path)} for path in DISCARDED_PATHS}
    return {**batches, **singles, **discarded, **_documents()}


def _discarded(path: str) -> dict[str, Any]:
    anything = {"type": "object", "additionalProperties": True}
    return {
        "operationId": "gateway_discard" + path.replace("/", "_"),
        "summary": "What SDKs count of themselves: taken and forgotten.",
        "tags": ["tracking"],
        "security": [],
        "requestBody": {"content": {"application/json": {"schema": {}}}},
        "responses": {
            "200": {"description": "Forgotten.", "content": {"application/json": {"schema": anything}}},
            **{status: problem_response(_ERRORS[status]) for status in ("413", "503")},
        },
    }


def _operation(path: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "gateway_track" + path.replace("/", "_"),
        "summary": summary,
        "tags": ["tracking"],
        "security": _WRITE_KEY,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {
                "description": "Stored. Bad events of a batch are listed, and kept for inspection.",
                "content": {"application/json": {"schema": _ACCEPTED}},
            },
            **{status: problem_response(said) for status, said in _ERRORS.items()},
        },
    }


def _documents() -> dict[str, Any]:
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    query = {"name": "writeKey", "in": "query", "schema": {"type": "string"}}
    return {
        "/v1/projects/{key}/settings": {"get": _document("settings", "What analytics-next loads.", key, "400", "404")},
        "/sourceConfig": {"get": _document("source_config", "What rudder-js loads.", query, "401")},
    }


def _document(name: str, summary: str, parameter: dict[str, Any], *statuses: str) -> dict[str, Any]:
    return {
        "operationId": f"gateway_{name}",
        "summary": summary,
        "tags": ["tracking"],
        "security": [] if name == "settings" else _WRITE_KEY,
        "parameters": [parameter],
        "responses": {
            "200": {
                "description": "The document.",
                "content": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
            },
            **{status: problem_response(_DOCUMENT_ERRORS[status]) for status in statuses},
        },
    }
