"""Tombstones in SQL."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import ReadSession, WriteSession

_BURY = text("""
    INSERT INTO tombstone (digest, at) SELECT digest, :at FROM unnest(CAST(:digests AS bytea[])) AS digest
    ON CONFLICT (digest) DO UPDATE SET at = excluded.at""")
_NEWEST = text("SELECT max(at) FROM tombstone")
_FOUND = text("SELECT digest, at FROM tombstone WHERE digest = ANY(CAST(:digests AS bytea[]))")
_REFUSED = text("""
    UPDATE tombstone AS t SET refused = refused + n.count
    FROM unnest(CAST(:digests AS bytea[]), CAST(:counts AS bigint[])) AS n (digest, count) WHERE t.digest = n.digest""")


async def bury(session: WriteSession, digests: Collection[bytes], at: datetime) -> None:
    """Set tombstones; an older one gets the new date."""
    await session.execute(_BURY, {"digests": sorted(digests), "at": at})


async def newest(session: ReadSession) -> datetime | None:
    """When somebody was erased last."""
    found: datetime | None = (await session.execute(_NEWEST)).scalar_one()
    return found


async def found(session: ReadSession, digests: Iterable[bytes]) -> dict[bytes, datetime]:
    """The tombstones of these identifiers."""
    rows = await session.execute(_FOUND, {"digests": list(digests)})
    return {bytes(row[0]): row[1] for row in rows}


async def count(session: WriteSession, refused: dict[bytes, int]) -> None:
    """Note how many events were refused."""
    digests = sorted(refused)
    await session.execute(_REFUSED, {"digests": digests, "counts": [refused[digest] for digest in digests]})


async def forget_identifiers(session: WriteSession, vias: Sequence[UUID]) -> None:
    """Remove identifiers: whoever claims one again makes a new one."""
    await session.execute(text("DELETE FROM identifier WHERE id = ANY(CAST(:vias AS uuid[]))"), {"vias": vias})
