"""Columns of rows as array literals: one text each, because the driver takes a long look at every member of a list."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


def arrays(rows: Iterable[Sequence[Any]]) -> list[str]:
    """The columns of rows of equal length, for statements that read them as `$1::text::uuid[]`."""
    return [array(column) for column in zip(*rows, strict=True)]


def array(values: Sequence[Any]) -> str:
    """An array literal of texts, UUIDs, instants with a zone or by name, dates, numbers, booleans and None.

    Without a backslash the members are written as JSON writes them; with one, only texts can be meant.
    """
    if datetime in map(type, values):
        values = [_spelled(value) if type(value) is datetime and value.tzinfo is not UTC else value for value in values]
    encoded = _encode(values)[1:-1].decode()
    return "{" + (encoded if "\\" not in encoded else ",".join(map(_quoted, values))) + "}"


def json_array(documents: Sequence[str | None]) -> str:
    """An array literal of JSON documents: in them no letter is left that array literals would escape otherwise."""
    return "{" + _encode(documents)[1:-1].decode() + "}"


def _spelled(at: datetime) -> datetime:
    """The same instant: JSON rounds an offset that has seconds, as zones had before they were railway time."""
    offset = at.utcoffset()
    return at.astimezone(UTC) if offset and (offset.seconds % 60 or offset.microseconds) else at


def _quoted(value: str | None) -> str:
    if value is None:
        return "NULL"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
