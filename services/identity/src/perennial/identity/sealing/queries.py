"""Sealed values, read and replaced in batches while others read and write them."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

BATCH = 1000
NONE = (UUID(int=0), "")


class Old(NamedTuple):
    """A value that an earlier key has sealed: its place (id, field), and what it is bound to."""

    id: UUID
    field: str
    sealed: bytes
    bound: bytes


class Table(NamedTuple):
    """A table of sealed values: how to read on from a place, and how to replace what is still the same."""

    read: str
    replace: str


_NEW = """FROM unnest(CAST(:ids AS uuid[]), CAST(:fields AS text[]), CAST(:olds AS bytea[]), CAST(:news AS bytea[]))
          AS n (id, field, old, new)"""
TABLES = (
    Table(
        """SELECT id, '' AS field, sealed, digest AS bound FROM identifier
           WHERE get_byte(sealed, 0) <> :current AND id > :id ORDER BY id LIMIT :batch""",
        f"UPDATE identifier t SET sealed = n.new {_NEW} WHERE t.id = n.id AND t.sealed = n.old",  # noqa: S608
    ),
    Table(
        """SELECT via AS id, field, sealed, uuid_send(via) || convert_to(field, 'UTF8') AS bound FROM likeness
           WHERE sealed IS NOT NULL AND get_byte(sealed, 0) <> :current AND (via, field) > (:id, :field)
           ORDER BY via, field LIMIT :batch""",
        f"UPDATE likeness t SET sealed = n.new {_NEW}"  # noqa: S608
        " WHERE t.via = n.id AND t.field = n.field AND t.sealed = n.old",
    ),
    Table(
        """SELECT event_id AS id, CAST(id AS text) AS field, sealed, uuid_send(event_id) AS bound FROM parked
           WHERE sealed IS NOT NULL AND get_byte(sealed, 0) <> :current
             AND (event_id, CAST(id AS text)) > (:id, :field)
           ORDER BY event_id, CAST(id AS text) LIMIT :batch""",
        f"UPDATE parked t SET sealed = n.new {_NEW}"  # noqa: S608
        " WHERE t.event_id = n.id AND CAST(t.id AS text) = n.field AND t.sealed = n.old",
    ),
)
_COUNTS = text("""
    SELECT get_byte(sealed, 0), count(*)
    FROM (SELECT sealed FROM identifier UNION ALL SELECT sealed FROM likeness WHERE sealed IS NOT NULL
          UNION ALL SELECT sealed FROM parked WHERE sealed IS NOT NULL) AS one
    GROUP BY 1""")


async def old(session: ReadSession, table: Table, current: int, after: tuple[UUID, str]) -> list[Old]:
    """Some values that another key than the current one has sealed, on from a place."""
    wanted: dict[str, Any] = {"current": current, "id": after[0], "batch": BATCH}
    if ":field" in table.read:
        wanted["field"] = after[1]
    rows = await session.execute(text(table.read), wanted)
    return [Old(row[0], row[1], bytes(row[2]), bytes(row[3])) for row in rows]


async def replace(session: WriteSession, table: Table, olds: Sequence[Old], news: Sequence[bytes]) -> None:
    """Put the new in the place of the old; what somebody has written meanwhile stays."""
    await session.execute(
        text(table.replace),
        {
            "ids": [one.id for one in olds],
            "fields": [one.field for one in olds],
            "olds": [one.sealed for one in olds],
            "news": list(news),
        },
    )


async def counts(session: ReadSession) -> dict[int, int]:
    """How many values each key has sealed."""
    return {row[0]: row[1] for row in await session.execute(_COUNTS)}
