"""The AsyncAPI 3 document: every fact that travels on NATS, from the contracts themselves."""

from collections.abc import Mapping
from typing import Any

import msgspec

from perennial.common.contracts import catalogue
from perennial.common.contracts.base import Event
from perennial.common.contracts.gateway import SUBJECT, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved
from perennial.common.ids import PARTITIONS

_REF = "#/components/schemas/"
_HEADERS = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"],
    "properties": {
        "ce-specversion": {"const": "1.0"},
        "ce-id": {"type": "string"},
        "ce-source": {"type": "string"},
        "ce-type": {"type": "string"},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-datacontenttype": {"const": "application/json"},
        "ce-traceparent": {"type": "string"},
        "traceparent": {"type": "string"},
        "Nats-Msg-Id": {"type": "string", "description": "On outbox facts only."},
        **{
            f"Nats-Batch-{name}": {"type": "string", "description": "On facts that were stored as one of many."}
            for name in ("Id", "Sequence", "Commit")
        },
    },
}


def asyncapi(version: str, hears: Mapping[str, list[str]]) -> dict[str, Any]:
    """The document; `hears` lists, for each service, the subjects it reacts to."""
    schemas: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for subject, (description, schema, definitions) in _contracts().items():
        schemas.update(definitions)
        schemas[subject] = schema
        channels[subject] = _channel(subject, description)
        messages[subject] = _message(subject, description)
        operations[f"{subject.split('.', 1)[0]}.sends.{subject}"] = _operation("send", subject)
        for service, subjects in sorted(hears.items()):
            if subject in subjects:
                operations[f"{service}.receives.{subject}"] = _operation("receive", subject)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Perennial events",
            "version": version,
            "description": "CloudEvents 1.0, binary mode, on JetStream: attributes are headers, the body is the event.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _contracts() -> dict[str, tuple[str, dict[str, Any], dict[str, Any]]]:
    """By subject: what it means, its schema, and the schemas that this one refers to."""
    found = {subject: (_says(contract), *_of_model(contract, subject)) for subject, contract in catalogue().items()}
    for subject, struct in ((SUBJECT, EventsAccepted), (RESOLVED_SUBJECT, EventsResolved)):
        (schema,), definitions = msgspec.json.schema_components([struct], ref_template=_REF + "{name}")
        found[subject] = (_says(struct), schema, dict(definitions))
    return dict(sorted(found.items()))


def _of_model(contract: type[Event], subject: str) -> tuple[dict[str, Any], dict[str, Any]]:
    schema = contract.model_json_schema(ref_template=f"{_REF}{subject}.{{model}}")
    definitions = schema.pop("$defs", {})
    return schema, {f"{subject}.{name}": inner for name, inner in definitions.items()}


def _says(contract: type) -> str:
    return " ".join((contract.__doc__ or "").split())


def _channel(subject: str, description: str) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": subject,
        "description": description,
        "messages": {"fact": {"$ref": f"#/components/messages/{subject}"}},
    }
    if subject == RESOLVED_SUBJECT:
        channel["address"] = f"{subject}.{{partition}}"
        channel["parameters"] = {"partition": {"enum": [str(n) for n in range(PARTITIONS)]}}
    return channel


def _message(subject: str, description: str) -> dict[str, Any]:
    return {
        "name": subject,
        "summary": description,
        "contentType": "application/json",
        "headers": _HEADERS,
        "payload": {"$ref": f"{_REF}{subject}"},
    }


def _operation(action: str, subject: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{subject}"},
        "messages": [{"$ref": f"#/channels/{subject}/messages/fact"}],
    }
