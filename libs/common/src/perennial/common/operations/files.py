"""What is uploaded for an operation and what it produces: bytes in the service's schema, gone with the operation."""

import re
from collections.abc import AsyncIterable, AsyncIterator
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import Database, ReadSession, WriteSession
from perennial.common.problems import ContentTooLarge

PART = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_APPEND = text("""
    INSERT INTO operation_file (operation_id, name, at, media_type, chunk)
    VALUES (:id, :name, (SELECT coalesce(max(at + octet_length(chunk)), 0) FROM operation_file
                         WHERE operation_id = :id AND name = :name), :media_type, :chunk)
    ON CONFLICT (operation_id, name, at) DO UPDATE SET chunk = excluded.chunk  -- what was there is empty""")
_READ = text("""
    SELECT substring(chunk FROM CAST(:at - at + 1 AS int) FOR :size) FROM operation_file
    WHERE operation_id = :id AND name = :name AND at <= :at AND at + octet_length(chunk) > :at
    ORDER BY at DESC LIMIT 1""")
_SIZE = text("""
    SELECT max(media_type) AS media_type, sum(octet_length(chunk)) AS size FROM operation_file
    WHERE operation_id = :id AND name = :name HAVING count(*) > 0""")


async def save(
    session: WriteSession, operation_id: UUID, name: str, media_type: str, chunks: AsyncIterable[bytes], limit: int
) -> int:
    """Store a file as it comes, never more than a part of it in memory; returns its bytes.

    `name` is letters, digits, `.`, `_` and `-`. Raises ContentTooLarge for more than `limit` bytes.
    """
    held, seen = bytearray(), 0
    async for chunk in chunks:
        seen += len(chunk)
        if seen > limit:
            raise ContentTooLarge(f"body is larger than {limit} bytes")
        held += chunk
        while len(held) >= PART:
            await append(session, operation_id, name, media_type, bytes(held[:PART]))
            del held[:PART]
    if held or not seen:
        await append(session, operation_id, name, media_type, bytes(held))
    return seen


async def append(session: WriteSession, operation_id: UUID, name: str, media_type: str, data: bytes) -> None:
    """Add to the end of a file, which need not be there yet; some hundred kilobytes at a time are best."""
    if not _NAME.fullmatch(name):
        msg = f"{name!r} is no name of a file"
        raise ValueError(msg)
    for start in range(0, max(1, len(data)), PART):
        bound = {"id": operation_id, "name": name, "media_type": media_type, "chunk": data[start : start + PART]}
        await session.execute(_APPEND, bound)


async def read(session: ReadSession, operation_id: UUID, name: str, at: int, size: int = PART) -> bytes:
    """Up to `size` bytes from the offset `at`, perhaps fewer; none at the end of the file, or without one."""
    found = await session.execute(_READ, {"id": operation_id, "name": name, "at": at, "size": size})
    return bytes(found.scalar_one_or_none() or b"")


async def described(session: ReadSession, operation_id: UUID, name: str) -> tuple[str, int] | None:
    """The media type and the bytes of a file; None where there is none."""
    found = (await session.execute(_SIZE, {"id": operation_id, "name": name})).one_or_none()
    return (found.media_type, int(found.size)) if found else None


async def stream(database: Database, operation_id: UUID, name: str, size: int) -> AsyncIterator[bytes]:
    """The bytes of a file of that size, a part at a time; no transaction is kept open for a slow client."""
    at = 0
    while at < size:
        async with database.read() as session:
            chunk = await read(session, operation_id, name, at)
        if not chunk:
            msg = f"the file {name} of {operation_id} was swept away while it was read"
            raise LookupError(msg)
        yield chunk[: size - at]
        at += len(chunk)
