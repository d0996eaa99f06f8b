"""Advisory locks by name: Postgres is the fence, not the broker."""

import hashlib

from sqlalchemy import text

from perennial.common.db.sessions import ReadSession


def lock_key(*parts: object) -> int:
    """A signed 64-bit key for the lock that `parts` name; locks are database-wide, so the first part is the service."""
    joined = "\x00".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest(), "big", signed=True)


async def lock(session: ReadSession, *parts: object) -> None:
    """Wait for the lock; it is held until the transaction ends."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(*parts)})


async def lock_all(session: ReadSession, keys: list[int]) -> None:
    """Wait for many locks in one round trip, in ascending order, so that two callers cannot meet crosswise."""
    if keys:
        await session.execute(
            text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"),
            {"keys": sorted(set(keys))},
        )


async def try_lock(session: ReadSession, *parts: object) -> bool:
    """Take the lock if it is free."""
    found = await session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": lock_key(*parts)})
    return bool(found.scalar_one())


async def try_lock_all(session: ReadSession, keys: list[int]) -> bool:
    """Take the locks that are free, in one round trip; whether all were."""
    found = await session.execute(
        text("SELECT bool_and(pg_try_advisory_xact_lock(key)) FROM unnest(CAST(:keys AS bigint[])) AS key"),
        {"keys": sorted(set(keys))},
    )
    return bool(found.scalar_one())
