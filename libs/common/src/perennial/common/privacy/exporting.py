"""What a service holds about a person, section by section, a page at a time."""

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import MetaData, Table, text
from sqlalchemy.dialects import postgresql

from perennial.common.db import ReadSession
from perennial.common.privacy import queries
from perennial.common.privacy.declaring import Privacy
from perennial.common.privacy.terms import Held, Searched, Subject
from perennial.common.runtime import Runtime

ROWS = 500
_AT = "at_of_the_page"
_DIALECT = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]


class Page(NamedTuple):
    """Rows of a section; `next_section` and `after` say where to go on, None at the end of all."""

    section: str | None
    rows: list[dict[str, Any]]
    next_section: int | None
    after: str


class Source(NamedTuple):
    """A service's rows, and what it has told about them."""

    runtime: Runtime
    privacy: Privacy
    metadata: MetaData


async def page(source: Source, subject: Subject, section: int, after: str) -> Page:
    """The next rows. Nothing is masked: they are the person's own."""
    tables = [
        (name, held) for name, held in source.privacy.all().items() if not isinstance(held, Held) or held.exported
    ]
    if section >= len(tables):
        return Page(None, [], None, "")
    name, held = tables[section]
    async with source.runtime.database.read() as session:
        if isinstance(held, Held):
            rows, rest = await _held(source, session, name, held, subject, after)
        else:
            rows, rest = await _searched(source, session, name, held, subject, after)
    following = section if rest else section + 1
    return Page(name, rows, following if following < len(tables) else None, rest)


async def _held(
    source: Source, session: ReadSession, name: str, held: Held, subject: Subject, after: str
) -> tuple[list[dict[str, Any]], str]:
    key = _key(source.metadata.tables[name], held)
    rows, order = held.rows.replace(":vias", "CAST(:vias AS uuid[])"), ", ".join(key)
    where = f"({rows})"
    bound: dict[str, Any] = {"vias": sorted(subject.vias), "n": ROWS}
    if after:
        last = dict(zip((f"after_{number}" for number in range(len(key))), json.loads(after), strict=True))
        of = ", ".join(f"CAST(CAST(:{name} AS text) AS {kind})" for name, kind in zip(last, key.values(), strict=True))
        where, bound = f"{where} AND ({order}) > ({of})", {**bound, **last}
    spelled = ", ".join(f"CAST({part} AS text)" for part in key)
    statement = f'SELECT *, ARRAY[{spelled}] AS {_AT} FROM "{name}" WHERE {where} ORDER BY {order} LIMIT :n'  # noqa: S608 (ours)
    found = [dict(row) for row in (await session.execute(text(statement), bound)).mappings()]
    ends = [row.pop(_AT) for row in found]
    shown = [_shown(held.open(source.runtime.settings, row) if held.open else row, held.hidden) for row in found]
    return shown, json.dumps(ends[-1]) if len(found) == ROWS else ""


def _key(table: Table, held: Held) -> dict[str, str]:
    """The columns by which rows are in order, each quoted and with its type."""
    names = [column.name for column in table.primary_key] or held.key.split(", ")
    if names == ["ctid"]:
        return {"ctid": "tid"}
    kinds = {name: str(table.c[name].type.compile(_DIALECT)) for name in names}
    return {f'"{name}"': kind.partition(" COLLATE ")[0] for name, kind in kinds.items()}


async def _searched(
    source: Source, session: ReadSession, name: str, held: Searched, subject: Subject, after: str
) -> tuple[list[dict[str, Any]], str]:
    rows = await queries.search(session, source.metadata, name, held, after or None, ROWS)
    keys = queries.found(source.runtime.settings, held, subject, rows)
    table = source.metadata.tables[name]
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
