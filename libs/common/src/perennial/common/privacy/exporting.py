"""What a service holds about a person, section by section, a page at a time."""

import base64
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession
from perennial.common.privacy import queries
from perennial.common.privacy.declaring import Held, Privacy, Searched, Subject
from perennial.common.runtime import Runtime

ROWS = 500


class Page(NamedTuple):
    """Rows of a section; `next_section` and `after` say where to go on, None at the end of all."""

    section: str | None
    rows: list[dict[str, Any]]
    next_section: int | None
    after: str


async def page(runtime: Runtime, subject: Subject, section: int, after: str) -> Page:
    """The next rows. Nothing is masked: they are the person's own."""
    tables = [
        (name, held)
        for name, held in cast("Privacy", runtime.service.privacy).all().items()
        if not isinstance(held, Held) or held.exported
    ]
    if section >= len(tables):
        return Page(None, [], None, "")
    name, held = tables[section]
    async with runtime.database.read() as session:
        if isinstance(held, Held):
            rows, rest = await _held(runtime, session, name, held, subject, after)
        else:
            rows, rest = await _searched(runtime, session, name, held, subject, after)
    following = section if rest else section + 1
    return Page(name, rows, following if following < len(tables) else None, rest)


async def _held(
    runtime: Runtime, session: ReadSession, name: str, held: Held, subject: Subject, after: str
) -> tuple[list[dict[str, Any]], str]:
    table = runtime.service.metadata.tables[name]
    order = ", ".join(f'"{column.name}"' for column in table.primary_key) or held.key
    rows = held.rows.replace(":vias", "CAST(:vias AS uuid[])")
    start = int(after) if after else 0
    statement = f'SELECT * FROM "{name}" WHERE {rows} ORDER BY {order} LIMIT :n OFFSET :start'  # noqa: S608 (ours)
    bound = {"vias": sorted(subject.vias), "n": ROWS, "start": start}
    found = (await session.execute(text(statement), bound)).mappings().all()
    shown = []
    for row in found:
        opened = held.open(runtime.settings, dict(row)) if held.open else dict(row)
        shown.append(_shown(opened, held.hidden))
    return shown, str(start + ROWS) if len(found) == ROWS else ""


async def _searched(
    runtime: Runtime, session: ReadSession, name: str, held: Searched, subject: Subject, after: str
) -> tuple[list[dict[str, Any]], str]:
    metadata = runtime.service.metadata
    rows = await queries.search(session, metadata, name, held, after or None, ROWS)
    keys = queries.found(runtime.settings, held, subject, rows)
    table = metadata.tables[name]
    found = await session.execute(table.select().where(table.c[held.key].in_(keys)).order_by(table.c[held.key]))
    shown = [_shown(dict(row), held.hidden) for row in found.mappings()]
    return shown, str(rows[-1]["key_"]) if len(rows) == ROWS else ""


def _shown(row: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items() if name not in hidden}


def _plain(value: Any) -> Any:
    """JSON that loses nothing: exact numbers are text, bytes are text where they are UTF-8 and base64 else."""
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return base64.b64encode(raw).decode()
    if isinstance(value, UUID | Decimal):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value
