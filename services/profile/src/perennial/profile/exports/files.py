"""Lines of an export."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from perennial.common import sheets
from perennial.common.rules.values.paths import reader, trait_path
from perennial.profile.exports.wanted import TRAIT

KINDS = {"csv": ("customers.csv", sheets.MEDIA_TYPE), "jsonl": ("customers.jsonl", "application/jsonl")}


def head(format: str, columns: Sequence[str], *, bom: bool) -> bytes:
    """What stands before the first customer."""
    if format != "csv":
        return b""
    return sheets.lines([columns], bom=bom).encode()


def lines(format: str, columns: Sequence[str], customers: Sequence[Mapping[str, Any]]) -> bytes:
    """A line for each customer, as a list shows it."""
    if format == "csv":
        rows = ([_cell(value(customer, column)) for column in columns] for customer in customers)
        return sheets.lines(rows).encode()
    told = ({column: value(customer, column) for column in columns} for customer in customers)
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in told).encode()


def value(customer: Mapping[str, Any], column: str) -> Any:
    """What a customer shows in a column; what is computed wins over a trait."""
    if not column.startswith(TRAIT):
        return customer[column]
    key, steps = trait_path(column.removeprefix(TRAIT))
    found = list(reader(steps)({**customer["traits"], **customer["computed"]}.get(key)))
    return found if any(step.each for step in steps) else found[0] if found else None


def _cell(found: Any) -> Any:
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return "; ".join(found)
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list | bool) else found
