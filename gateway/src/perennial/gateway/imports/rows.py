"""One row of a file as an event of the tracking protocol: the same that an SDK would send."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from perennial.common.identifiers import normalise
from perennial.common.rules.values import NUMBER
from perennial.gateway.imports.mapping import AS_TRAITS, Column
from perennial.gateway.tracking import clock

LONGEST_SHOWN = 100
_NUMBER = re.compile(NUMBER)
_YES, _NO = frozenset({"true", "t", "yes", "y", "1", "是", "真"}), frozenset({"false", "f", "no", "n", "0", "否", "假"})
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_LIST = re.compile(r"[;；|、]")


class Fault(NamedTuple):
    """Why a row is left out. The column is the one at fault, if it is one."""

    line: int
    column: str
    code: str
    reason: str


class Invalid(ValueError):  # noqa: N818 (it says what the row is)
    """The row cannot be taken."""

    def __init__(self, column: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.code, self.reason = column, code, reason


class Told(NamedTuple):
    """A row's event, and what identifies the customer, each as `kind:value`."""

    event: bytes
    identifiers: list[str]


class Plan(NamedTuple):
    """How the rows of one import are read. `salt` tells this import and mapping from any other."""

    header: list[str]
    targets: list[tuple[int, Column]]
    at: datetime
    salt: str
    region: str


def salt_of(import_id: UUID, mapping: Mapping[str, Any]) -> str:
    """The same file by the same mapping is the same import, however often it is run."""
    said = msgspec.json.encode([str(import_id), mapping], order="sorted")
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def told(plan: Plan, line: int, cells: Sequence[str]) -> Told:
    """Raises Invalid."""
    if len(cells) != len(plan.header):
        raise Invalid("", "ragged", f"the row has {len(cells)} cells, the header has {len(plan.header)}")
    event: dict[str, Any] = {"type": "identify", "messageId": f"import-{plan.salt}-{line}", "traits": {}, "context": {}}
    event["timestamp"] = plan.at.isoformat()
    identifiers: list[str] = []
    for index, column in plan.targets:
        name, cell = plan.header[index][:LONGEST_SHOWN], cells[index].strip()
        if "\0" in cell:
            raise Invalid(name, "nul", "must not contain NUL")
        if column.to == "trait":
            _tell(event["traits"], column, name, cell)
        elif cell and column.to == "identifier":
            identifiers.append(_identify(event, column, name, cell, plan.region))
        elif cell:
            event["timestamp"] = _read(name, cell, "datetime")
    if not identifiers:
        raise Invalid("", "no_identifier", "none of the identifiers is filled in")
    return Told(msgspec.json.encode(event), identifiers)


def _tell(traits: dict[str, Any], column: Column, name: str, cell: str) -> None:
    if cell:
        traits[str(column.key)] = _read(name, cell, column.type)
    elif column.empty == "clear":
        traits[str(column.key)] = None


def _identify(event: dict[str, Any], column: Column, name: str, cell: str, region: str) -> str:
    kind = str(column.kind)
    value = f"{column.namespace}:{cell}" if column.namespace else cell
    if normalise(kind, value, region) is None:
        raise Invalid(name, "invalid_identifier", f"the value cannot identify anybody as {kind}")
    if kind in AS_TRAITS:
        event["traits"][kind] = cell
    elif kind == "user_id":
        event["userId"] = cell
    elif kind == "anonymous_id":
        event["anonymousId"] = cell
    elif kind == "external_id":
        event["context"].setdefault("externalIds", []).append({"type": column.namespace, "id": cell})
    else:
        device = event["context"].setdefault("device", {})
        device["id" if kind == "device_id" else "token"] = cell
    return f"{kind}:{value}"


def _read(name: str, cell: str, type: str) -> Any:
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
