"""The SQL of erasing, made of what the tables' declarations say."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import MetaData, bindparam, select, text, update

from perennial.common.db import ReadSession, WriteSession
from perennial.common.privacy.terms import Held, Searched, Subject
from perennial.common.settings import CommonSettings

_NEXT = text("""
    SELECT id, customer_id, vias, digests, at, state, position, after, counts,
        coalesce(finished_at, clock_timestamp()) FROM erasure
    WHERE state <> 'done' AND next_at <= clock_timestamp() ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED""")
_AWAY = text("SELECT extract(epoch FROM min(next_at) - clock_timestamp()) FROM erasure WHERE state <> 'done'")
_NOTE = text("""
    UPDATE erasure SET position = :position, after = :after, counts = CAST(:counts AS jsonb), failure = NULL
    WHERE id = :id""")
_WAIT = text("UPDATE erasure SET next_at = clock_timestamp() + make_interval(secs => :seconds) WHERE id = :id")
_PUT_OFF = text("""
    UPDATE erasure SET next_at = clock_timestamp() + interval '1 minute', failure = :failure
    WHERE id = (SELECT id FROM erasure WHERE state <> 'done' AND next_at <= clock_timestamp()
                ORDER BY next_at LIMIT 1)""")
_SETTLE = text("""
    UPDATE erasure SET state = 'settling', position = 0, after = NULL,
        finished_at = coalesce(finished_at, clock_timestamp()),
        next_at = clock_timestamp() + make_interval(secs => :again)
    WHERE id = :id""")
_DONE = text("UPDATE erasure SET state = 'done', digests = '{}' WHERE id = :id")


class Task(NamedTuple):
    """Whom to forget, and how far that is."""

    id: UUID
    customer_id: UUID
    vias: list[UUID]
    digests: list[bytes]
    at: Any
    state: str
    position: int
    after: str | None
    counts: dict[str, int]
    before: datetime  # from when on nothing new holds the person

    @property
    def subject(self) -> Subject:
        """The person."""
        return Subject(frozenset(self.vias), frozenset(map(bytes, self.digests)), self.at)


async def take(session: WriteSession) -> Task | None:
    """The task that has waited longest and that nobody else is at."""
    row = (await session.execute(_NEXT)).one_or_none()
    return Task(*row) if row else None


async def away(session: ReadSession) -> float | None:
    """Seconds until the next task is due; None without one."""
    found = (await session.execute(_AWAY)).scalar_one()
    return None if found is None else float(found)


async def note(session: WriteSession, task: Task, position: int, after: str | None) -> None:
    """How far it is now."""
    bound = {"id": task.id, "position": position, "after": after, "counts": json.dumps(task.counts)}
    await session.execute(_NOTE, bound)


async def wait(session: WriteSession, task: Task, seconds: float) -> None:
    """Go on with it later: somebody must be through first."""
    await session.execute(_WAIT, {"id": task.id, "seconds": seconds})


async def put_off(session: WriteSession, failure: str) -> None:
    """The task in hand has failed: try again in a minute, after the others."""
    await session.execute(_PUT_OFF, {"failure": failure})


async def settle(session: WriteSession, task: Task, again: float) -> None:
    """All is erased; look once more after a while, for what a request in flight has written."""
    await session.execute(_SETTLE, {"id": task.id, "again": again})


async def done(session: WriteSession, task: Task) -> None:
    """Nothing is left to do."""
    await session.execute(_DONE, {"id": task.id})


async def erase(session: WriteSession, name: str, held: Held, vias: Sequence[UUID], n: int) -> int:
    """Delete up to `n` rows, or have the table's function do what it does; returns how many."""
    bound = {"vias": list(vias), "n": n}
    if held.function is not None:
        statement = f"SELECT {held.function}(CAST(:vias AS uuid[]), :n)"
        return int((await session.execute(text(statement), bound)).scalar_one())
    if held.kept is not None:
        return 0
    rows = held.rows.replace(":vias", "CAST(:vias AS uuid[])")
    keys = f'SELECT ctid FROM "{name}" WHERE {rows} LIMIT :n'  # noqa: S608 (declared by us)
    statement = f'DELETE FROM "{name}" WHERE ctid = ANY(ARRAY({keys})) AND ({rows})'  # noqa: S608
    return int((await session.execute(text(statement), bound)).rowcount)  # type: ignore[attr-defined]


async def count(session: ReadSession, name: str, held: Held, vias: Sequence[UUID]) -> int:
    """How many rows of the person there are."""
    rows = held.rows.replace(":vias", "CAST(:vias AS uuid[])")
    statement = f'SELECT count(*) FROM "{name}" WHERE {rows}'  # noqa: S608 (declared by us)
    return int((await session.execute(text(statement), {"vias": list(vias)})).scalar_one())


async def search(
    session: ReadSession, metadata: MetaData, name: str, searched: Searched, after: str | None, n: int
) -> list[Any]:
    """The next `n` rows after a key, with the columns that are judged."""
    table = metadata.tables[name]
    key = table.c[searched.key]
    statement = select(key.label("key_"), *(table.c[column] for column in searched.columns)).order_by(key).limit(n)
    if after is not None:
        statement = statement.where(key > key.type.python_type(after))
    return list((await session.execute(statement)).mappings())


async def erase_found(
    session: WriteSession, metadata: MetaData, name: str, searched: Searched, keys: Sequence[Any]
) -> None:
    """Delete rows by their keys, and first what hangs on them."""
    table = metadata.tables[name]
    for statement in searched.first.values():
        await session.execute(text(statement), {"keys": list(keys)})
    await session.execute(table.delete().where(table.c[searched.key].in_(list(keys))))


async def cut_found(
    session: WriteSession, settings: CommonSettings, metadata: MetaData, name: str, searched: Searched,
    subject: Subject, rows: Sequence[Any],
) -> int:  # fmt: skip
    """Take what is the person's out of rows that are other people's too; returns of how many."""
    if searched.cut is None:
        return 0
    cut = searched.cut(settings, subject)
    anew = [{"key_": row["key_"], **left} for row in rows if (left := cut(row)) is not None]
    if anew:
        table = metadata.tables[name]
        values: dict[str, Any] = {column: bindparam(column) for column in anew[0] if column != "key_"}
        statement = update(table).where(table.c[searched.key] == bindparam("key_")).values(values)
        await (await session.connection()).execute(statement, anew)
        for repeated in searched.then:
            await session.execute(text(repeated), {"keys": [row["key_"] for row in anew]})
    return len(anew)


def found(settings: CommonSettings, searched: Searched, subject: Subject, rows: Sequence[Any]) -> list[Any]:
    """The keys of the rows that are the person's."""
    judge = searched.judge(settings, subject)
    return [row["key_"] for row in rows if judge(row)]
