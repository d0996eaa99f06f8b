"""How Postgres reads a jsonb value as text, number or instant: the twin of `values.scalars`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from perennial.common.rules.values.paths import Step
from perennial.common.rules.values.scalars import BEYOND_MICROSECONDS, LIMIT, LOCAL, NUMBER, ZONED


@dataclass(slots=True)
class Binds:
    """Parameters with their types said; lists and dates, which the calendar repeats, are bound once."""

    values: dict[str, object] = field(default_factory=dict)
    known: dict[object, str] = field(default_factory=dict)

    def __call__(self, value: object, of: str) -> str:
        key = (of, tuple(value)) if isinstance(value, list) else (of, value) if isinstance(value, date) else None
        if key is not None and key in self.known:
            return self.known[key]
        name = f"rule_{len(self.values)}"
        self.values[name] = value
        said = f"CAST(:{name} AS {of})"
        if key is not None:
            self.known[key] = said
        return said


def spelled(value: str) -> str:
    """A jsonb scalar without its quotes."""
    return f"({value} #>> '{{}}')"


def number(value: str) -> str:
    """SQL of a numeric, null where the jsonb value is no number."""
    return (
        f"CASE jsonb_typeof({value}) WHEN 'number' THEN"
        f" CASE WHEN abs(({value})::numeric) < {LIMIT:f} THEN ({value})::numeric END"
        f" WHEN 'string' THEN CASE WHEN {spelled(value)} ~ '^{NUMBER}$' THEN {spelled(value)}::numeric END END"
    )


def text(value: str) -> str:
    """SQL of a text, null where the jsonb value is a list, an object, null or a vast number."""
    return (
        f"CASE jsonb_typeof({value}) WHEN 'string' THEN {spelled(value)} WHEN 'boolean' THEN {spelled(value)}"
        f" WHEN 'number' THEN trim_scale({number(value)})::text END"
    )


def instant(value: str) -> str:
    """SQL of a timestamptz, null where the jsonb value spells none; no cast ever fails."""
    exact = f"regexp_replace({spelled(value)}, '{BEYOND_MICROSECONDS}', '\\1')"
    return (
        f"CASE WHEN jsonb_typeof({value}) = 'string' THEN"
        f" CASE WHEN {spelled(value)} ~ '^{ZONED}$'"
        f" THEN CASE WHEN pg_input_is_valid({exact}, 'timestamptz') THEN {exact}::timestamptz END"
        f" WHEN {spelled(value)} ~ '^{LOCAL}$'"
        f" THEN CASE WHEN pg_input_is_valid({exact}, 'timestamp') THEN {exact}::timestamp AT TIME ZONE 'UTC' END"
        " END END"
    )


def walk(value: str, steps: Sequence[Step], binds: Binds, called: str = "item") -> tuple[str, list[str]]:
    """SQL of the value at a path, and the FROM items that pass through its lists."""
    items: list[str] = []
    for step in steps:
        if step.name is not None:
            value = f"({value} -> {binds(step.name, 'text')})"
        if step.each:
            alias = f"{called}{len(items)}"
            items.append(f"jsonb_array_elements({as_list(value)}) AS {alias}(value)")
            value = f"{alias}.value"
    return value, items


def as_list(value: str) -> str:
    """SQL of a jsonb array, empty where the value is none."""
    return f"CASE WHEN jsonb_typeof({value}) = 'array' THEN {value} ELSE '[]' END"
