"""From JSON to a rule and back; every refusal says where, as a JSON pointer."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from perennial.common.rules.nodes import KINDS, Rule

MOST_NODES = 200
DEEPEST = 12

_adapter: TypeAdapter[Rule] = TypeAdapter(Rule)


class RuleError(ValueError):
    """A rule that cannot be: `pointer` says where (`/all/0/within`), `message` why."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer or '/'}: {message}")
        self.pointer = pointer
        self.message = message


def parse(data: object) -> Rule:
    """Reads a decoded JSON document; raises RuleError at the first fault."""
    _check_size(data)
    try:
        return _adapter.validate_python(data)
    except ValidationError as refusal:
        first = refusal.errors(include_url=False, include_context=False, include_input=False)[0]
        where = _in_document(data, first["loc"], missing=first["type"] == "missing")
        raise RuleError(_pointer(where), _message(first["type"], first["msg"])) from None


def dump(rule: Rule) -> dict[str, object]:
    """The JSON document of a rule, in one spelling: `parse(dump(rule)) == rule`."""
    document: dict[str, object] = _adapter.dump_python(rule, mode="json", by_alias=True, exclude_defaults=True)
    return document


def json_schema() -> dict[str, object]:
    """The JSON Schema (2020-12) of rules."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rule",
        **_adapter.json_schema(by_alias=True),
    }


def _check_size(data: object) -> None:
    """Before pydantic recurses into it."""
    waiting: list[tuple[object, tuple[int | str, ...], int]] = [(data, (), 1)]
    seen = 0
    while waiting:
        node, where, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES:
            raise RuleError("", f"must have at most {MOST_NODES} conditions")
        if depth > DEEPEST:
            raise RuleError(_pointer(where), f"must be nested at most {DEEPEST} deep")
        if isinstance(node, Mapping):
            for key in ("all", "any"):
                if isinstance(inner := node.get(key), Sequence) and not isinstance(inner, str):
                    waiting += [(item, (*where, key, i), depth + 1) for i, item in enumerate(inner)]
            if "not" in node:
                waiting.append((node["not"], (*where, "not"), depth + 1))


def _in_document(data: object, location: Sequence[int | str], *, missing: bool) -> list[int | str]:
    """Pydantic's location without the names of its own types."""
    found: list[int | str] = []
    for step in location:
        if (isinstance(data, Mapping) and step in data) or (isinstance(data, Sequence) and isinstance(step, int)):
            data = cast("Any", data)[step]
            found.append(step)
    return [*found, location[-1]] if missing else found


def _pointer(location: Sequence[int | str]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _message(kind: str, message: str) -> str:
    if kind == "union_tag_not_found":
        return f"must be an object with one of {', '.join(KINDS)}"
    if kind == "extra_forbidden":
        return "is not known here"
    if kind == "missing":
        return "is missing"
    return message.removeprefix("Value error, ")
