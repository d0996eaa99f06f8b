"""A schema must be small, closed in itself, and free of loops: whoever validates by it spends a bounded time."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from perennial.common.web import Unprocessable

MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_EXPANDED = 1_000
MAX_CHAIN = 64
DIALECTS = frozenset({"https://json-schema.org/draft/2020-12/schema", "https://json-schema.org/draft/2020-12/schema#"})
_KEYED = ("properties", "patternProperties", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedProperties",
    "unevaluatedItems",
)  # fmt: skip
_FOREIGN = ("$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor", "$vocabulary")
_DEFS = "#/$defs/"


def invalid(path: str, why: str) -> Unprocessable:
    """The plan is wrong there."""
    shown = path.removeprefix("/").replace("/", ".") or "body"
    return Unprocessable(f"{shown}: {why}", code="invalid_plan", pointer=path)


def check_document(value: Any, path: str = "", depth: int = 0) -> int:
    """The number of values in a document that can be stored. Raises Unprocessable."""
    if depth > MAX_DEPTH:
        raise invalid(path, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise invalid(path, "is not a finite number")
    nodes = 1
    for name, inner in _members(value):
        _check_text(name, path)
        nodes += check_document(inner, f"{path}/{escaped(name)}", depth + 1)
    if nodes > MAX_NODES:
        raise invalid(path, f"has more than {MAX_NODES} values")
    return nodes


def check_schema(schema: dict[str, Any], path: str) -> int:
    """How many subschemas one value may be held against.

    Raises Unprocessable for a schema that looks elsewhere, runs in circles, or explodes.
    """
    defs = schema.get("$defs", {})
    if not isinstance(defs, dict):
        raise invalid(f"{path}/$defs", "must be an object")
    closure = _Closure(defs, path, {})
    weight = closure.expanded({name: held for name, held in schema.items() if name != "$defs"}, path, ())
    for name in defs:
        closure.referred(f"{_DEFS}{escaped(name)}", f"{path}/$defs/{escaped(name)}", ())
    return weight


def size_of(value: Any) -> int:
    """The number of values in an event."""
    count, level = 0, [value]
    while level:
        count += len(level)
        level = [inner for outer in level for _, inner in _members(outer)]
    return count


def escaped(name: str) -> str:
    """A member's name in a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def depth_of(value: Any) -> int:
    """How deeply a document is nested, up to one more than allowed."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        level = [inner for outer in level for _, inner in _members(outer)]
        depth += 1
    return depth


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(index), inner) for index, inner in enumerate(value))


def _check_text(text: str, path: str) -> None:
    if "\0" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise invalid(path, "holds NUL or half a surrogate pair")


class _Closure(NamedTuple):
    """A schema's definitions, and how large those known are."""

    defs: dict[str, Any]
    path: str
    known: dict[str, int]

    def expanded(self, schema: Any, path: str, within: tuple[str, ...], depth: int = 0) -> int:
        """How many subschemas an instance may be held against, references followed."""
        if not isinstance(schema, dict):
            return 1
        if depth > MAX_CHAIN:
            raise invalid(path, f"is deeper than {MAX_CHAIN} levels, references followed")
        _check_keywords(schema, path)
        total = 1 + sum(self.expanded(inner, at, within, depth + 1) for inner, at in _subschemas(schema, path))
        if "$ref" in schema:
            total += self.referred(schema["$ref"], f"{path}/$ref", within, depth)
        if total > MAX_EXPANDED:
            raise invalid(path, f"comes to more than {MAX_EXPANDED} subschemas, references followed")
        return total

    def referred(self, ref: Any, path: str, within: tuple[str, ...], depth: int = 0) -> int:
        """The same of what a reference points to."""
        name = ref.removeprefix(_DEFS).replace("~1", "/").replace("~0", "~") if isinstance(ref, str) else ""
        if not isinstance(ref, str) or not ref.startswith(_DEFS) or name not in self.defs:
            raise invalid(path, "must point to a definition of the same schema: #/$defs/<name>")
        if name in within:
            raise invalid(path, "runs in a circle")
        if name not in self.known:
            at = f"{self.path}/$defs/{escaped(name)}"
            self.known[name] = self.expanded(self.defs[name], at, (*within, name), depth + 1)
        return self.known[name]


def _check_keywords(schema: dict[str, Any], path: str) -> None:
    for keyword in _FOREIGN:
        if keyword in schema:
            raise invalid(f"{path}/{keyword}", "is not supported")
    if "$defs" in schema:
        raise invalid(f"{path}/$defs", "belongs to the top of the schema")
    dialect = schema.get("$schema")
    if dialect is not None and dialect not in DIALECTS:
        raise invalid(f"{path}/$schema", "must be https://json-schema.org/draft/2020-12/schema")


def _subschemas(schema: dict[str, Any], path: str) -> Iterator[tuple[Any, str]]:
    for keyword in (*_KEYED, *_LISTED):
        held = schema.get(keyword)
        fitting = dict if keyword in _KEYED else list
        if isinstance(held, fitting):
            yield from ((inner, f"{path}/{keyword}/{escaped(name)}") for name, inner in _members(held))
    yield from ((schema[keyword], f"{path}/{keyword}") for keyword in _SINGLE if keyword in schema)
