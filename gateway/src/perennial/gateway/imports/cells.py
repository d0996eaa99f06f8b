"""Cells of a file as values."""

import re
from collections.abc import Callable
from datetime import UTC, date
from decimal import Decimal
from typing import Any

import msgspec

from perennial.common.rules.values.scalars import NUMBER
from perennial.gateway.tracking import clock

_NUMBER = re.compile(NUMBER)
_YES, _NO = frozenset({"true", "t", "yes", "y", "1", "是", "真"}), frozenset({"false", "f", "no", "n", "0", "否", "假"})
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_LIST = re.compile(r"[;；|、]")


class Invalid(ValueError):  # noqa: N818 (it says what the row is)
    """The row cannot be taken."""

    def __init__(self, column: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.code, self.reason = column, code, reason


def read(name: str, cell: str, type: str) -> Any:
    """The value of a cell that is not empty, as a type; `name` is the column's. Raises Invalid."""
    try:
        return _READERS[type](cell)
    except (ValueError, OverflowError) as error:
        raise Invalid(name, f"not_a_{type}", f"the value is not a {type}") from error


def _number(cell: str) -> msgspec.Raw:
    if not _NUMBER.fullmatch(cell):
        raise ValueError
    return msgspec.Raw(format(Decimal(cell), "f").encode())


def _boolean(cell: str) -> bool:
    said = cell.casefold()
    if said not in _YES | _NO:
        raise ValueError
    return said in _YES


def _date(cell: str) -> str:
    found = _DATE.fullmatch(cell)
    if found is None:
        raise ValueError
    return date(int(found[1]), int(found[2]), int(found[3])).isoformat()


def _datetime(cell: str) -> str:
    found = _DATE.match(cell)
    if found is None:
        raise ValueError
    rest = cell[found.end() :].strip().removeprefix("T")
    instant = clock.parse(f"{_date(found[0])}T{rest}" if rest else f"{_date(found[0])}T00:00:00")
    if instant is None:
        raise ValueError
    return instant.astimezone(UTC).isoformat()


_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "list": lambda cell: [part.strip() for part in _LIST.split(cell) if part.strip()],
}
