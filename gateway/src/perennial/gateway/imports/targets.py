"""Where in a row the columns of a mapping stand."""

from typing import NamedTuple

from perennial.common.problems import Unprocessable
from perennial.gateway.imports.mapping import Column, Mapping

LONGEST_SHOWN = 100


class Target(NamedTuple):
    """A column of the mapping, its place in a row, and the places of what belongs to it; `name` is the file's."""

    place: int
    column: Column
    name: str
    at: int | None = None
    evidence: int | None = None


def placed(header: list[str], mapping: Mapping) -> list[Target]:
    """Raises Unprocessable for a column that is missing or there twice."""
    return [_target(header, number, column) for number, column in enumerate(mapping.columns)]


def _target(header: list[str], number: int, column: Column) -> Target:
    where = f"/mapping/columns/{number}"
    index = _place(header, column.column, f"{where}/column")
    beside = [
        None if said is None else _place(header, said, f"{where}/{name}")
        for name, said in (("at", column.at), ("evidence", column.evidence))
    ]
    return Target(index, column, header[index][:LONGEST_SHOWN], *beside)


def _place(header: list[str], said: str | int, where: str) -> int:
    if isinstance(said, int):
        places = [said - 1] if said <= len(header) else []
    else:
        places = [index for index, name in enumerate(header) if name == said]
    if len(places) != 1:
        why = "is not in the file" if not places else "is there more than once: give its number"
        raise Unprocessable(f"{where.strip('/')}: the column {said!r} {why}", code="invalid_mapping", pointer=where)
    return places[0]
