"""Lines of an export."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from perennial.common.rules.paths import reader, trait_path
from perennial.profile.exports.wanted import TRAIT

KINDS = {"csv": ("customers.csv", "text/csv; charset=utf-8"), "jsonl": ("customers.jsonl", "application/jsonl")}
_BOM = "\ufeff".encode()
_FORMULA = re.compile(r"\s*[=+\-@\t\r]")


def head(format: str, columns: Sequence[str], *, bom: bool) -> bytes:
    """What stands before the first customer."""
    if format != "csv":
        return b""
    return (_BOM if bom else b"") + _written([[_safe(column) for column in columns]])


def lines(format: str, columns: Sequence[str], customers: Sequence[Mapping[str, Any]]) -> bytes:
    """A line for each customer, as a list shows it."""
    if format == "csv":
        return _written([_cell(value(customer, column)) for column in columns] for customer in customers)
    told = ({column: value(customer, column) for column in columns} for customer in customers)
    return "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in told).encode()


def value(customer: Mapping[str, Any], column: str) -> Any:
    """What a customer shows in a column; what is computed wins over a trait."""
    if not column.startswith(TRAIT):
        return customer[column]
    key, steps = trait_path(column.removeprefix(TRAIT))
    found = list(reader(steps)({**customer["traits"], **customer["computed"]}.get(key)))
    return found if any(step.each for step in steps) else found[0] if found else None


def _cell(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, str):
        return _safe(found)
    if isinstance(found, list) and all(isinstance(item, str) for item in found):
        return _safe("; ".join(found))
    return json.dumps(found, ensure_ascii=False)


def _safe(said: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{said}" if _FORMULA.match(said) else said


def _written(rows: Any) -> bytes:
    held = io.StringIO(newline="")
    csv.writer(held, lineterminator="\r\n").writerows(rows)
    return held.getvalue().encode()
