"""The SQL of definitions and of the feeds behind them."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common import notify
from perennial.common.db import ReadSession, WriteSession
from perennial.profile.computed.spec import Feed

_COLUMNS = """t.key, t.labels, t.version, t.state, t.spec, t.feed, t.served, t.served_feed, t.pending, t.created_at,
              t.updated_at, t.ready_at"""
_SELECT = f"""SELECT {_COLUMNS}, f.ready AS feed_ready, f.month AS backfilled
              FROM computed_trait AS t LEFT JOIN computed_feed AS f ON f.id = t.feed"""  # noqa: S608 (ours)
_WRITE = text("""
    INSERT INTO computed_trait AS t (key, labels, version, state, spec, feed, pending)
    VALUES (:key, CAST(:labels AS jsonb), 1, 'building', CAST(:spec AS jsonb), :feed, true)
    ON CONFLICT (key) DO UPDATE SET labels = excluded.labels, spec = excluded.spec, feed = excluded.feed,
        version = t.version + 1, updated_at = now(),
        state = CASE WHEN :same AND t.state <> 'archived' THEN t.state ELSE 'building' END,
        pending = t.pending OR NOT :same OR t.state = 'archived'""")
_ARCHIVE = text("""
    UPDATE computed_trait SET state = 'archived', version = version + 1, updated_at = now(), served = NULL,
        served_feed = NULL, feed = NULL, pending = true
    WHERE key = :key""")
_PENDING = text("""
    SELECT t.key FROM computed_trait AS t LEFT JOIN computed_feed AS f ON f.id = t.feed
    WHERE t.pending AND (t.feed IS NULL OR f.ready) ORDER BY t.key FOR UPDATE OF t SKIP LOCKED""")
_SETTLE = text("""
    UPDATE computed_trait SET pending = false, ready_at = now(),
        state = CASE WHEN state = 'archived' THEN state ELSE 'ready' END,
        served = CASE WHEN state = 'archived' THEN NULL ELSE spec END, served_feed = feed
    WHERE key = ANY(:keys)""")
_EVERYONE = text("""
    INSERT INTO stale (customer_id, live, at) SELECT customer_id, false, now() FROM identity_map
    WHERE via = customer_id""")
_CHANGED_AT = text("SELECT max(ready_at) FROM computed_trait")
_UNUSED = """FROM computed_feed AS f WHERE NOT EXISTS (
    SELECT FROM computed_trait AS t WHERE t.feed = f.id OR t.served_feed = f.id)"""


async def changed_at(session: ReadSession) -> datetime | None:
    """When what customers are shown was last defined otherwise."""
    found: datetime | None = (await session.execute(_CHANGED_AT)).scalar_one()
    return found


async def served(session: ReadSession) -> Sequence[Row[Any]]:
    """key, version, served, served_feed of what customers are shown."""
    return (
        await session.execute(
            text("""SELECT key, version, served::text AS served, served_feed FROM computed_trait
                    WHERE served IS NOT NULL ORDER BY key""")
        )
    ).all()


async def one(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any] | None:
    """A definition with how far it is; `lock` holds it until the transaction ends."""
    held = " FOR UPDATE OF t" if lock else ""
    return (await session.execute(text(f"{_SELECT} WHERE t.key = :key{held}"), {"key": key})).one_or_none()


async def page(session: ReadSession, after: str, limit: int) -> Sequence[Row[Any]]:
    """Definitions that are not archived, by key."""
    statement = f"{_SELECT} WHERE t.state <> 'archived' AND t.key > :after ORDER BY t.key LIMIT :limit"
    return (await session.execute(text(statement), {"after": after, "limit": limit})).all()


async def declared_otherwise(session: ReadSession, key: str) -> bool:
    """Whether the shop has a trait of this key that sources say."""
    found = await session.execute(
        text("SELECT EXISTS (SELECT FROM trait_definition WHERE key = :key AND NOT archived)"), {"key": key}
    )
    return bool(found.scalar_one())


async def count(session: WriteSession) -> int:
    """How many are not archived; two that define at once wait for each other."""
    await session.execute(text("LOCK TABLE computed_trait IN SHARE ROW EXCLUSIVE MODE"))
    found = await session.execute(text("SELECT count(*) FROM computed_trait WHERE state <> 'archived'"))
    return int(found.scalar_one())


async def feed_id(session: WriteSession, feed: Feed) -> int:
    """The feed that is like this one, made when there is none."""
    found = await session.execute(
        text("""INSERT INTO computed_feed (digest, spec, ready) VALUES (:digest, CAST(:spec AS jsonb), false)
                ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest RETURNING id"""),
        {"digest": feed.digest(), "spec": json.dumps(feed.document())},
    )
    return int(found.scalar_one())


async def write(
    session: WriteSession, key: str, labels: dict[str, str], spec: dict[str, Any], feed: int | None, *, same: bool
) -> None:
    """A new definition, or a new version of one; `same`: what is computed stays as it is."""
    values = {"key": key, "labels": json.dumps(labels), "spec": json.dumps(spec), "feed": feed, "same": same}
    await session.execute(_WRITE, values)


async def archive(session: WriteSession, key: str) -> None:
    """Keep the definition, and show customers nothing of it."""
    await session.execute(_ARCHIVE, {"key": key})


async def settle(session: WriteSession) -> list[str]:
    """Serve definitions whose feed is ready, and no more those that were archived; everybody is derived again once."""
    keys = list((await session.execute(_PENDING)).scalars())
    if keys:
        await session.execute(_SETTLE, {"keys": keys})
        await session.execute(_EVERYONE)
        await notify.notify(session, notify.STALE)
    return keys


async def drop_unused(session: WriteSession) -> int:
    """Forget feeds that nothing is computed from any more."""
    locked = text(f"SELECT f.id {_UNUSED} FOR UPDATE OF f SKIP LOCKED")
    ids = list((await session.execute(locked)).scalars())
    deleted = await session.execute(text(f"DELETE {_UNUSED} AND f.id = ANY(:ids) RETURNING f.id"), {"ids": ids})
    return len(deleted.all())


async def next_building(session: WriteSession) -> Row[Any] | None:
    """A feed that is not ready, that nobody else is at."""
    statement = """SELECT id, spec::text AS spec, month, via FROM computed_feed WHERE NOT ready
                   ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"""
    return (await session.execute(text(statement))).one_or_none()


async def advance(session: WriteSession, feed: int, month: date | None, via: UUID | None) -> None:
    """Note how far a backfill is; no month: it is done."""
    await session.execute(
        text(
            "UPDATE computed_feed SET month = :month, via = :via, ready = CAST(:month AS date) IS NULL WHERE id = :id"
        ),
        {"id": feed, "month": month, "via": via},
    )
