"""COPY of rows that are encoded here: the driver takes a long look at every value."""

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from perennial.common.db.sessions import WriteSession, raw

_BEGIN, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_ONE_UUID = b"\0\1\0\0\0\x10"
_CHUNK = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY, _SECOND = 86_400_000_000, 1_000_000

NULL = b"\xff\xff\xff\xff"


async def copy(session: AsyncSession, table: str, columns: Sequence[str], rows: Iterable[Iterable[bytes]]) -> None:
    """COPY rows into a table, each in parts that are joined.

    A row is the number of columns in two bytes; then of each column the length in four and the value, or NULL.
    """
    connection = await raw(session)
    await connection.copy_to_table(table, source=_chunks(rows), columns=columns, format="binary")


async def _chunks(rows: Iterable[Iterable[bytes]]) -> AsyncIterator[bytes]:
    parts = [_BEGIN]
    for number, row in enumerate(rows, 1):
        parts += row
        if number % _CHUNK == 0:
            yield b"".join(parts)
            parts = []
    parts.append(_END)
    yield b"".join(parts)


async def copy_ids(session: WriteSession, table: str, column: str, ids: Iterable[UUID]) -> None:
    """COPY rows of nothing but an id."""
    await copy(session, table, (column,), ((_ONE_UUID, each.int.to_bytes(16)) for each in ids))


def instant(at: datetime) -> int:
    """An instant with a zone as Postgres stores it: microseconds since 2000."""
    since = at - _EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def word(text: str | None) -> bytes:
    """A column of text."""
    if text is None:
        return NULL
    encoded = text.encode()
    return struct.pack(">i", len(encoded)) + encoded
