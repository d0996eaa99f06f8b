"""From JSON to a rule and back; every refusal says where, as a JSON pointer."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from perennial.common.rules.grammar.nodes import KINDS, RELATIONS, Rule
from perennial.common.rules.values.literals import LONGEST_TEXT

MOST_NODES = 200
DEEPEST = 12
MOST_INSIDE = 1000

_PARTS = ("where", "sequence", *RELATIONS)
_DEEPEST_LEAF = 4  # a sequence's step's element's condition

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
    schema = _adapter.json_schema(by_alias=True)
    for word, name in (("tag", "HasTag"), ("stage", "InStage")):
        _offer(schema, {"$ref": f"#/$defs/{name}"})
        key = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
        schema["$defs"][name] = {
            "type": "object", "properties": {word: key}, "required": [word], "additionalProperties": False,
        }  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Rule", **schema}


def _offer(part: Any, shorthand: dict[str, str]) -> None:
    """Wherever a condition on a trait may stand, so may what is short for one."""
    if isinstance(part, list):
        if {"$ref": "#/$defs/OnTrait"} in part:
            part.append(shorthand)
        for inner in part:
            _offer(inner, shorthand)
    elif isinstance(part, dict):
        for inner in part.values():
            _offer(inner, shorthand)


def _check_size(data: object) -> None:
    """Before pydantic recurses into it."""
    waiting: list[tuple[object, tuple[int | str, ...], int]] = [(data, (), 1)]
    seen = inside = 0
    while waiting:
        node, where, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES:
            raise RuleError("", f"must have at most {MOST_NODES} conditions")
        if depth > DEEPEST:
            raise RuleError(_pointer(where), f"must be nested at most {DEEPEST} deep")
        if isinstance(node, Mapping):
            inside += _inside(node)
            if inside > MOST_INSIDE:
                raise RuleError("", f"must have at most {MOST_INSIDE} conditions on properties and steps of sequences")
            for key in ("all", "any"):
                if isinstance(inner := node.get(key), Sequence) and not isinstance(inner, str):
                    waiting += [(item, (*where, key, i), depth + 1) for i, item in enumerate(inner)]
            if "not" in node:
                waiting.append((node["not"], (*where, "not"), depth + 1))


def _inside(leaf: Mapping[object, object]) -> int:
    """How many conditions and steps a leaf has; what is nested deeper than any leaf can be is refused anyway."""
    found, waiting = 0, [(leaf, 1)]
    while waiting and found <= MOST_INSIDE:
        part, depth = waiting.pop()
        for key in _PARTS:
            inner = part.get(key) if depth < _DEEPEST_LEAF else None
            items = inner if isinstance(inner, list | tuple) else [inner]
            found += len(items) if isinstance(inner, list | tuple) else 0
            waiting += [(item, depth + 1) for item in items[: MOST_INSIDE + 1] if isinstance(item, Mapping)]
    return found


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
    if kind == "model_type":
        return "must be an object"
    return message.removeprefix("Value error, ")
