"""Paths into JSON: `total`, `address.city`, `products[].category`; a backslash before a dot keeps it in the name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MOST_STEPS = 8
MOST_LISTS = 3

Reader = Callable[[object], Sequence[object]]

_dot = re.compile(r"(?<!\\)\.")
_word = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Step:
    """Into the member `name` (None: stay), then into `each` element of the list found there."""

    name: str | None
    each: bool = False


def trait_key(name: str) -> str:
    """The one spelling of a trait's name: `createdAt` and `created_at` are the same trait."""
    return _word.sub("_", name).lower()


def parse_path(path: str) -> tuple[Step, ...]:
    """Splits a path into steps; ValueError for an empty step or too many."""
    steps = tuple(_step(part) for part in _dot.split(path))
    if len(steps) > MOST_STEPS or sum(step.each for step in steps) > MOST_LISTS:
        raise ValueError(f"must have at most {MOST_STEPS} steps and {MOST_LISTS} lists")
    return steps


def trait_path(path: str) -> tuple[str, tuple[Step, ...]]:
    """The normalised key of a trait, and the way from there into its value."""
    head, *rest = parse_path(path)
    return trait_key(head.name or ""), (Step(None, head.each), *rest)


def reader(steps: Sequence[Step]) -> Reader:
    """A function from a JSON value to the values at the path; null counts as absent."""
    if len(steps) == 1 and not steps[0].each:
        return _member(steps[0].name)

    def read(root: object) -> Sequence[object]:
        found = [root]
        for step in steps:
            found = _walk(found, step)
        return [value for value in found if value is not None]

    return read


def _step(part: str) -> Step:
    each = part.endswith("[]")
    name = part.removesuffix("[]").replace("\\.", ".")
    if not name:
        raise ValueError("must be names joined by dots, such as products[].category")
    return Step(name, each)


def _member(name: str | None) -> Reader:
    def read(root: object) -> Sequence[object]:
        if name is None:
            value = root
        elif type(root) is dict or isinstance(root, Mapping):  # as a rule it is a dict, and to ask that is quick
            value = root.get(name)
        else:
            return ()
        return () if value is None else (value,)

    return read


def _walk(values: list[object], step: Step) -> list[object]:
    if step.name is not None:
        values = [value[step.name] for value in values if isinstance(value, Mapping) and step.name in value]
    if step.each:
        values = [item for value in values if isinstance(value, list | tuple) for item in value]
    return values
