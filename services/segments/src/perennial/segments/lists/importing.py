"""Putting everybody in a file on a list, as an operation: some lines a step."""

import csv
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from perennial.common.identifiers import KINDS
from perennial.common.operations import Step
from perennial.common.problems import Unprocessable
from perennial.segments.definitions import queries as definitions
from perennial.segments.lists import service
from perennial.segments.lists.service import FILE, MEDIA_TYPE

AT_ONCE = 64 * 1024
ERRORS = "errors.csv"
OUTCOMES = ("added", "already", "unknown", "invalid")
PLAIN = ("customer_id", "identifier")


async def step(step: Step) -> Mapping[str, Any] | None:
    """The next lines."""
    segment_id = UUID(step.input["segment_id"])
    row = await definitions.lock(step.session, segment_id)
    if row is None or row.state == "archived":
        raise Unprocessable("segment: it was archived meanwhile", code="archived")
    at = int(step.progress.get("at", 0))
    data = await step.read(FILE, at, AT_ONCE)
    last = len(data) < AT_ONCE
    end = len(data) if last else data.rfind(b"\n") + 1
    if not last and end == 0:
        raise Unprocessable(f"file: a line is longer than {AT_ONCE} bytes", code="invalid_file")
    rows = [next(csv.reader([line]), []) for line in _decoded(data[:end]).splitlines()]
    if at == 0:
        step.progress["columns"] = _columns(rows)
        rows = rows[1:]
    await _take(step, segment_id, rows)
    step.progress["at"] = at + end
    step.done += len(rows)
    return _result(step) if last else None


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unprocessable("file: it is not UTF-8", code="invalid_file") from error


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """What each column holds, by the header. Raises Unprocessable where none says whom a line means."""
    columns = [name.strip().lower() for name in rows[0]] if rows else []
    if not any(name in PLAIN or name in KINDS for name in columns):
        known = ", ".join((*PLAIN, *KINDS))
        raise Unprocessable(f"file: its first line must name at least one of the columns {known}", code="invalid_file")
    return columns


async def _take(step: Step, segment_id: UUID, rows: Sequence[Sequence[str]]) -> None:
    """A line means whoever its first filled column means."""
    columns, progress = step.progress["columns"], step.progress
    named = [_named(columns, row) for row in rows]
    by = f"{step.principal.kind}:{step.principal.id}"
    outcomes = await service.add(step.session, segment_id, by, named, live=bool(step.input["live"]))
    for outcome in OUTCOMES:
        progress[outcome] = progress.get(outcome, 0) + outcomes.count(outcome)  # type: ignore[arg-type]
    first = step.done + 2  # the header is line 1
    faults = [f"{first + place},{said}\n" for place, said in enumerate(outcomes) if said in {"unknown", "invalid"}]
    if faults:
        header = "" if progress.get("faulty") else "line,reason\n"
        progress["faulty"] = True
        await step.append(ERRORS, (header + "".join(faults)).encode(), MEDIA_TYPE)


def _named(columns: Sequence[str], row: Sequence[str]) -> str:
    for name, value in zip(columns, row, strict=False):
        if value.strip():
            if name in PLAIN:
                return value.strip()
            if name in KINDS:
                return f"{name}:{value.strip()}"
    return ""


def _result(step: Step) -> dict[str, Any]:
    return {"lines": step.done, **{outcome: step.progress.get(outcome, 0) for outcome in OUTCOMES}}
