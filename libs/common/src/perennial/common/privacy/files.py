"""Files of operations may hold anybody: an erasure takes those that were made before it.

What is being written begins anew, since the person is in no table any more. What was sent in is let to its readers,
who ask of each row whether it may come in, and goes when they are through.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text

from perennial.common.db import WriteSession
from perennial.common.db.locks import lock_all, lock_key

TABLE = "operation_file"
GONE = "because of an erasure"
AT_ONCE = 5  # operations, whose files may have some hundred megabytes each
WAIT_SECONDS = 15.0

_LISTS = text("""
    SELECT id FROM operation
    WHERE kind = ANY(:kinds) AND created_at < :before AND (CAST(:after AS uuid) IS NULL OR id > :after)
      AND NOT coalesce(result ? 'gone', false)
    ORDER BY id LIMIT :n""")
_DROP = text("DELETE FROM operation_file WHERE operation_id = ANY(CAST(:ids AS uuid[]))")
_ANEW = text("""
    UPDATE operation SET progress = '{}', done = 0, begun = 0
    WHERE id = ANY(CAST(:ids AS uuid[])) AND state IN ('queued', 'running')""")
_SAY = text("""
    UPDATE operation SET progress = '{}', input = input - CAST(:told AS text[]),
        result = coalesce(result, '{}') || jsonb_build_object('gone', CAST(:gone AS text))
            || CASE WHEN result ? 'errors' THEN '{"errors": []}'::jsonb ELSE '{}' END
    WHERE id = ANY(CAST(:ids AS uuid[])) AND state NOT IN ('queued', 'running')""")
_UPLOADS = text("""
    SELECT id FROM operation
    WHERE kind = ANY(:kinds) AND created_at < :before AND state NOT IN ('queued', 'running')
      AND NOT coalesce(result ? 'gone', false)
    ORDER BY id FOR UPDATE""")
_IDLE = text("""
    SELECT o.id FROM operation AS o
    WHERE kind = ANY(:kinds) AND created_at < :before AND state NOT IN ('queued', 'running')
      AND EXISTS (SELECT FROM operation_file WHERE operation_id = o.id)
      AND NOT EXISTS (SELECT FROM operation AS r
                      WHERE r.kind = ANY(:readers) AND r.state IN ('queued', 'running')
                        AND r.input ->> 'import_id' = CAST(o.id AS text) AND r.created_at > now() - interval '1 day')
    ORDER BY o.id LIMIT :n""")
_BUSY = text("""
    SELECT EXISTS (SELECT FROM operation
                   WHERE kind = ANY(:kinds) AND created_at < :before AND created_at > now() - interval '1 day'
                     AND state IN ('queued', 'running'))""")


@dataclass(frozen=True)
class Files:
    """Kinds of operations whose files may hold anybody.

    `lists` write such files; `told` are keys of their input that may name somebody. `uploads` keep a file that was sent
    in, `readers` read it by `input.import_id`: one that hangs is waited for during a day.
    """

    lists: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


class Forgotten(NamedTuple):
    """Of how many operations the files went, and where to go on: None at the end, unless somebody is `waited` for."""

    operations: int
    after: str | None
    waited: bool = False


async def forget(session: WriteSession, service: str, files: Files, now: datetime, cursor: str | None) -> Forgotten:
    """Some of the files that were made before the first call with an empty cursor; their operations say it."""
    since, _, after = (cursor or f"{now.isoformat()} ").partition(" ")
    bound: dict[str, Any] = {"before": datetime.fromisoformat(since), "n": AT_ONCE}
    where = {"kinds": list(files.lists), "after": UUID(after) if after else None}
    lists = list((await session.execute(_LISTS, bound | where)).scalars())
    if lists:
        await _fenced(session, service, lists)
        await _gone(session, lists, files.told)
        await session.execute(_ANEW, {"ids": lists})
        return Forgotten(len(lists), f"{since} {lists[-1]}")
    count, waited = await _uploaded(session, files, bound)
    return Forgotten(count, f"{since} {after}" if count or waited else None, waited)


async def _uploaded(session: WriteSession, files: Files, bound: Mapping[str, Any]) -> tuple[int, bool]:
    """Of how many operations files went that nobody reads, and whether somebody still reads; nobody begins to."""
    marked = await session.execute(_UPLOADS, {"kinds": list(files.uploads), "before": bound["before"]})
    await session.execute(_SAY, {"ids": list(marked.scalars()), "told": [], "gone": GONE})
    kinds = {"kinds": [*files.uploads, *files.readers], "readers": list(files.readers)}
    idle = list((await session.execute(_IDLE, {**bound, **kinds})).scalars())
    if idle:
        await _gone(session, idle, ())
        return len(idle), False
    busy = {"kinds": kinds["kinds"], "before": bound["before"]}
    return 0, bool((await session.execute(_BUSY, busy)).scalar_one())


async def _gone(session: WriteSession, operations: list[UUID], told: tuple[str, ...]) -> None:
    await session.execute(_DROP, {"ids": operations})
    await session.execute(_SAY, {"ids": operations, "told": list(told), "gone": GONE})


async def _fenced(session: WriteSession, service: str, operations: list[UUID]) -> None:
    """Whoever is at a step is waited for: else its note of where it stands would come after ours."""
    await lock_all(session, [lock_key(service, "operation", operation) for operation in operations])
