"""The event catalogue, docs/events.md: `python -m tests.contract.catalogue` writes it from contracts and reactions."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nats.js.api import ConsumerConfig, RetentionPolicy

from perennial.common import service as services
from perennial.common.contracts import PRODUCERS, catalogue
from perennial.common.contracts.gateway import STREAM, SUBJECT, EventsAccepted
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved
from perennial.common.messaging.batch import ignore
from perennial.common.messaging.worker import CONSUMERS, reactions_of
from perennial.common.service import Service
from perennial.common.streams import Plan, plan
from tests.contract.snapshots import current

FILE = Path(__file__).parents[2] / "docs" / "events.md"
COMMAND = "python -m tests.contract.catalogue"
HOT: Mapping[str, type] = {SUBJECT: EventsAccepted, RESOLVED_SUBJECT: EventsResolved}


class Listener(NamedTuple):
    """A service that hears an event, and how."""

    service: str
    how: str


HEAD = f"""\
# The event catalogue

Written by `{COMMAND}`; a test compares it with the code.

Every message is a CloudEvents 1.0 event in binary mode: attributes are `ce-*` headers, the body is the JSON described
here. The gateway serves the same contracts as AsyncAPI 3 at `/asyncapi.json`; their JSON Schemas are in
[tests/contract/schemas](../tests/contract/schemas). A version gains optional fields or a successor, nothing else.

- **hot**: a stream of customers' events, one message holds many.
- **state**: how things stand; the highest version wins, in whatever order they arrive.
- **occurrence**: something that happened, one event each; an import brings none.

Every fact bears `id` (unique for ever, a repeat bears the same) and `occurred_at`; the tables leave them out. Webhooks
deliver the facts of every other service; a prefix such as `loyalty.*` matches occurrences only, a state is asked for by
its name.
"""


def write() -> str:
    """The whole document."""
    found = [services.load(name) for name in services.names()]
    heard, schemas = _heard(found), current()
    parts = [HEAD, _streams(plan(found)), _overview(heard, schemas)]
    for producer in PRODUCERS:
        subjects = [subject for subject in schemas if subject.split(".", 1)[0] == producer]
        parts += [f"## {producer}\n", *(_contract(subject, schemas[subject], heard) for subject in sorted(subjects))]
    return "\n".join(parts)


def _heard(found: list[Service]) -> dict[str, set[Listener]]:
    """Who hears each subject: by a reaction or, the one reader of the work queue, by its worker."""
    heard: dict[str, set[Listener]] = defaultdict(set)
    for service in found:
        for reaction in reactions_of(service):
            how = "keeps its copy of the map" if reaction.handle is ignore else _name(reaction.handle)
            heard[reaction.subject].add(Listener(service.name, how))
    for config in plan(found).consumers[STREAM]:
        heard[SUBJECT].add(Listener(str(config.durable_name), f"`{config.durable_name}.worker`"))
    return heard


def _name(handle: Callable[..., Any]) -> str:
    return f"`{handle.__module__.removeprefix('perennial.')}.{getattr(handle, '__name__', '')}`"


def _streams(wanted: Plan) -> str:
    rows = [
        (
            f"`{name}`",
            ", ".join(f"`{subject}`" for subject in config.subjects or []),
            "work queue" if config.retention is RetentionPolicy.WORK_QUEUE else "limits, discard new",
            _durables(wanted.consumers[name]),
        )
        for name, config in sorted(wanted.streams.items())
    ]
    return f"## Streams\n\n{_table(('stream', 'subjects', 'keeps by', 'durable consumers'), rows)}"


def _durables(configs: Sequence[ConsumerConfig]) -> str:
    names = [str(config.durable_name) for config in configs]
    services_of = dict.fromkeys(name.partition("-")[0] for name in names)
    hot = {name.partition("-")[0] for name in names if "-" in name}
    return ", ".join(f"`{name}-0…{CONSUMERS - 1}`" if name in hot else f"`{name}`" for name in services_of)


def _overview(heard: Mapping[str, set[Listener]], schemas: Mapping[str, Any]) -> str:
    rows = [
        (f"[`{subject}`](#{subject.replace('.', '')})", _kind(subject), _services(heard[subject]))
        for subject in sorted(schemas)
    ]
    return f"## Who hears what\n\n{_table(('event', 'kind', 'heard by'), rows)}"


def _services(listeners: Iterable[Listener]) -> str:
    return ", ".join(sorted({listener.service for listener in listeners})) or "nobody yet"


def _kind(subject: str) -> str:
    if subject in HOT:
        return "hot"
    return "state" if catalogue()[subject].state else "occurrence"


def _contract(subject: str, schema: Mapping[str, Any], heard: Mapping[str, set[Listener]]) -> str:
    contract = HOT.get(subject) or catalogue()[subject]
    says = " ".join((contract.__doc__ or "").split())
    lines = [f"### {subject}\n", f"`{contract.__name__}`, {_kind(subject)}. {says}\n"]
    definitions = dict(schema.get("$defs", {}))
    whole = definitions.pop(contract.__name__, schema)
    lines.append(_fields(whole))
    for name, part in sorted(definitions.items()):
        told = " ".join(part.get("description", "").split())
        lines += [f"`{name}`: {told}\n" if told else f"`{name}`\n", _fields(part)]
    listeners = [f"- {listener.service}: {listener.how}" for listener in sorted(heard[subject])]
    lines += ["Heard by:\n", "\n".join(listeners) + "\n"] if listeners else ["Heard by nobody yet.\n"]
    return "\n".join(lines)


def _fields(schema: Mapping[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = [
        (f"`{name}`", _type(field) + ("" if name in required else ", optional"), _remark(field))
        for name, field in schema.get("properties", {}).items()
        if name not in {"id", "occurred_at"} or name in required
    ]
    return _table(("field", "type", ""), rows)


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "$ref" in field:
        return f"`{field['$ref'].rsplit('/', 1)[-1]}`"
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    return str(field.get("format") or field.get("type") or "any JSON")


def _remark(field: Mapping[str, Any]) -> str:
    return " ".join([field.get("description", ""), "**Personal.**" if field.get("x-personal") else ""]).strip()


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(_row(line) for line in lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    FILE.write_text(write())
