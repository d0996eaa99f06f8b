"""Contracts: recorded, compatible, and each of its stream."""

import copy
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from perennial.common import service as services
from perennial.common.contracts import PRODUCERS, Event, catalogue
from perennial.common.contracts.identity import RESOLVED_SUBJECT, EventsResolved
from perennial.common.streams import plan
from perennial.common.testing.events import tracked
from tests.contract.snapshots import COMMAND, breaks, current, recorded


def test_the_recorded_schemas_are_the_codes() -> None:
    assert recorded() == current(), f"the contracts changed: run `{COMMAND}` and commit what it writes"


def test_names_say_who_what_and_when() -> None:
    for subject, contract in catalogue().items():
        producer, noun, verb, version = subject.split(".")
        assert producer in PRODUCERS
        module = f"perennial.common.contracts.{producer}"
        assert contract.__module__ == module or contract.__module__.startswith(f"{module}.")
        assert noun.isidentifier()
        assert verb.endswith(("ed", "ent", "en")), f"{subject}: the verb is not in the past"
        assert version[0] == "v"
        assert version[1:].isdigit()


ORDER = {
    "properties": {"id": {"type": "string"}, "note": {"type": "string", "default": ""}, "line": {"$ref": "#/x"}},
    "required": ["id"],
    "$defs": {"Line": {"properties": {"price": {"type": "string"}}, "required": ["price"]}},
}


def changed(**changes: Any) -> dict[str, Any]:
    schema = copy.deepcopy(ORDER)
    for path, value in changes.items():
        target: Any = schema
        *parents, last = path.split("__")
        for parent in parents:
            target = target["$defs" if parent == "defs" else parent]
        if value is None:
            del target[last]
        else:
            target[last] = value
    return schema


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (changed(properties__note=None), "note is gone"),
        (changed(required=["id", "note"]), "note is required now"),
        (changed(required=[]), "id is no longer promised"),
        (changed(properties__id={"type": "integer"}), "id has another type"),
        (changed(defs__Line__properties__price=None, defs__Line__required=[]), "Line.price is gone"),
    ],
)
def test_a_change_that_breaks_somebody_is_refused(schema: dict[str, Any], says: str) -> None:
    assert says in breaks(ORDER, schema)


def test_an_optional_field_breaks_nobody() -> None:
    assert breaks(ORDER, changed(properties__more={"type": "string", "default": "", "description": "new"})) == []


def test_what_is_said_today_is_what_the_schema_promises() -> None:
    events = [tracked("Order Completed", {"total": 5})]
    said = msgspec.json.decode(msgspec.json.encode(EventsResolved(events)))
    Draft202012Validator(recorded()[RESOLVED_SUBJECT]).validate(said)


def test_every_fact_has_a_stream_and_every_consumer_hears_something() -> None:
    found = [services.load(name) for name in services.names()]
    wanted = plan(found)
    emitted: set[type[Event]] = {event for service in found for event in service.emits}
    assert emitted == set(catalogue().values()), "a contract that nobody emits, or an event without one"
    for service in found:
        assert all(event.producer() == service.name for event in service.emits)
    heard = {subject for configs in wanted.consumers.values() for config in configs for subject in _subjects(config)}
    for subject in heard:
        base = subject.rsplit(".", 1)[0] if subject.startswith(RESOLVED_SUBJECT) else subject
        assert base in current(), f"{subject} is heard but never said"


def _subjects(config: Any) -> list[str]:
    return list(config.filter_subjects or [config.filter_subject])
