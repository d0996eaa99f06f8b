"""The SQL of topics and of what was heard."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from perennial.common.db import ReadSession, WriteSession
from perennial.common.db.locks import lock as hold

_NOTE = text("""
    INSERT INTO utterance (id, via, at, kind, live)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:vias AS uuid[]), CAST(:ats AS timestamptz[]),
                         CAST(:kinds AS text[]), CAST(:lives AS boolean[]))
    ON CONFLICT (id) DO NOTHING""")
_UNHEARD = text("""
    SELECT u.id, u.via, u.kind, u.live, e.body -> 'properties' AS properties
    FROM (SELECT * FROM utterance WHERE NOT heard ORDER BY id LIMIT :n FOR UPDATE SKIP LOCKED) AS u
    LEFT JOIN event AS e ON e.via = u.via AND e.timestamp = u.at AND e.id = u.id""")
_HEARD = text("""
    UPDATE utterance AS u SET heard = true, topics = coalesce(h.topics, u.topics),
        polarity = CASE WHEN h.topics IS NULL THEN u.polarity ELSE h.polarity END
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS h (id uuid, topics jsonb, polarity numeric) WHERE u.id = h.id""")
_AGAIN = text("""
    WITH next AS (SELECT id FROM utterance WHERE id > :after ORDER BY id LIMIT :n),
    again AS (UPDATE utterance AS u SET heard = false, live = false FROM next WHERE u.id = next.id)
    SELECT max(id::text) FROM next""")
_TOPICS = text("SELECT * FROM topic WHERE active ORDER BY key")
_PUT = text("""
    INSERT INTO topic AS t (key, label, terms, origin, digest, edited)
    SELECT key, label, terms, origin, digest, edited
    FROM jsonb_to_recordset(CAST(:documents AS jsonb)) AS d (key text, label jsonb, terms jsonb, origin text,
        digest text, edited boolean)
    ON CONFLICT (key) DO UPDATE SET label = excluded.label, terms = excluded.terms, digest = excluded.digest,
        edited = excluded.edited, active = true, version = t.version + 1, updated_at = now()
    WHERE excluded.edited OR NOT t.edited AND t.origin = 'preset' AND t.digest IS DISTINCT FROM excluded.digest
    RETURNING t.key""")


async def note(session: WriteSession, rows: Sequence[tuple[Any, ...]]) -> None:
    """Remember that something was said: (event's id, via, at, kind, live)."""
    ids, vias, ats, kinds, lives = zip(*rows, strict=True)
    await session.execute(
        _NOTE, {"ids": list(ids), "vias": list(vias), "ats": list(ats), "kinds": list(kinds), "lives": list(lives)}
    )


async def unheard(session: WriteSession, limit: int) -> Sequence[Row[Any]]:
    """What was not analysed yet, with the event's properties; null where the timeline has dropped it."""
    return (await session.execute(_UNHEARD, {"n": limit})).all()


async def hear(session: WriteSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what texts (id, topics, polarity) are about; topics of null keep what was known."""
    await session.execute(_HEARD, {"rows": json.dumps(list(rows), default=str)})


async def again(session: WriteSession, after: UUID, limit: int) -> str | None:
    """Have texts analysed once more; returns the last id, or None at the end."""
    found: str | None = (await session.execute(_AGAIN, {"after": after, "n": limit})).scalar_one()
    return found


async def topics(session: ReadSession) -> Sequence[Row[Any]]:
    """The topics in use."""
    return (await session.execute(_TOPICS)).all()


async def put(session: WriteSession, documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write topics: an `edited` one in any case, a preset where nobody made it their own. Returns what changed."""
    return list((await session.execute(_PUT, {"documents": json.dumps(list(documents))})).scalars())


async def topic(session: ReadSession, key: str, *, lock: bool = False) -> Row[Any] | None:
    """A topic, in use or not; who locks it also keeps others from making it."""
    if lock:
        await hold(session, "profile", "topic", key)
    held = "FOR UPDATE" if lock else ""
    return (await session.execute(text(f"SELECT * FROM topic WHERE key = :key {held}"), {"key": key})).one_or_none()  # noqa: S608 (ours)


async def drop(session: WriteSession, key: str) -> None:
    """Take a topic out of use: a preset must not come back by itself."""
    await session.execute(
        text("""UPDATE topic SET active = false, edited = true, version = version + 1, updated_at = now()
                WHERE key = :key"""),
        {"key": key},
    )
