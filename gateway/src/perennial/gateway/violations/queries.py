"""Keeping, counting, listing and sweeping violations."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, insert, select, text, update

from perennial.common.db import ReadSession, WriteSession
from perennial.gateway.tracking.refusal import REJECTED
from perennial.gateway.violations.filters import Filter
from perennial.gateway.violations.models import Violation, ViolationCount
from perennial.gateway.violations.records import Broken

KEEP = timedelta(days=30)
HOUR = timedelta(hours=1)

_SWEEP = text("""
    DELETE FROM violation WHERE id IN
      (SELECT id FROM violation WHERE at < now() - CAST(:keep AS interval) LIMIT 5000)""")
_SWEEP_COUNTS = text(
    "DELETE FROM violation_count WHERE day < (now() AT TIME ZONE 'UTC')::date - CAST(:keep AS interval)"
)
_ADD = text("""
    UPDATE violation_count AS held SET count = held.count + added.count
    FROM unnest(CAST(:codes AS text[]), CAST(:outcomes AS text[]), CAST(:names AS text[]), CAST(:counts AS bigint[]))
      AS added (code, outcome, name, count)
    WHERE held.source_id = :source_id AND held.day = :day
      AND (held.code, held.outcome, held.name) = (added.code, added.outcome, added.name)
    RETURNING held.code, held.outcome, held.name""")

Said = tuple[str, str, str]


async def kept(session: ReadSession, source_id: str, hour: datetime, *, rejected: bool) -> tuple[int, int]:
    """How many violations of a source are kept of the hour that begins then, and the bytes they take on disk."""
    size = func.pg_column_size(Violation.raw) + func.coalesce(func.pg_column_size(Violation.envelope), 0)
    statement = select(func.count(), func.coalesce(func.sum(size), 0)).where(
        Violation.source_id == source_id,
        Violation.at >= hour,
        Violation.at < hour + HOUR,
        (Violation.outcome == REJECTED) if rejected else (Violation.outcome != REJECTED),
    )
    rows, size_held = (await session.execute(statement)).one()
    return int(rows), int(size_held)


async def keep(session: WriteSession, records: Sequence[Broken]) -> None:
    """Keep violations."""
    if records:
        await session.execute(insert(Violation), [record._asdict() for record in records])


async def add_counts(session: WriteSession, source_id: str, day: date, counts: Mapping[Said, int]) -> set[Said]:
    """Add to the counts that exist; returns which did."""
    codes, outcomes, names = zip(*counts, strict=True)
    wanted = {"codes": list(codes), "outcomes": list(outcomes), "names": list(names), "counts": list(counts.values())}
    rows = await session.execute(_ADD, {"source_id": source_id, "day": day, **wanted})
    return {(row.code, row.outcome, row.name) for row in rows}


async def new_counts(session: WriteSession, source_id: str, day: date, counts: Mapping[Said, int]) -> None:
    """Add counts that do not exist."""
    rows = [
        {"source_id": source_id, "day": day, "code": code, "outcome": outcome, "name": name, "count": count}
        for (code, outcome, name), count in counts.items()
    ]
    await session.execute(insert(ViolationCount), rows)


async def names_of_day(session: ReadSession, source_id: str, day: date) -> int:
    """How many different counts a source has on a day."""
    within = (ViolationCount.source_id == source_id, ViolationCount.day == day)
    return int((await session.execute(select(func.count()).where(*within))).scalar_one())


async def page(
    session: ReadSession, source_id: str, wanted: Filter, limit: int, before: int | None
) -> Sequence[Violation]:
    """A source's violations, newest first."""
    statement = select(Violation).where(*_where(source_id, wanted)).order_by(Violation.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Violation.id < before)
    return (await session.execute(statement)).scalars().all()


async def replayable(session: ReadSession, source_id: str, wanted: Filter, limit: int, after: int) -> Sequence[int]:
    """The ids of rejected events, oldest first."""
    where = _where(source_id, wanted._replace(outcome=REJECTED))
    statement = select(Violation.id).where(*where, Violation.id > after).order_by(Violation.id).limit(limit)
    return (await session.execute(statement)).scalars().all()


async def remaining(session: ReadSession, source_id: str, wanted: Filter, after: int) -> int:
    """How many rejected events lie behind an id."""
    where = _where(source_id, wanted._replace(outcome=REJECTED))
    return int((await session.execute(select(func.count()).where(*where, Violation.id > after))).scalar_one())


async def by_ids(session: ReadSession, source_id: str, ids: Sequence[int]) -> Sequence[Violation]:
    """Some violations of a source, oldest first."""
    statement = select(Violation).where(Violation.source_id == source_id, Violation.id.in_(ids))
    return (await session.execute(statement.order_by(Violation.id))).scalars().all()


async def mark_replayed(session: WriteSession, ids: Sequence[int]) -> None:
    """Note that events were published after all."""
    await session.execute(update(Violation).where(Violation.id.in_(ids)).values(replayed_at=func.now()))


async def counted(
    session: ReadSession, source_id: str, since: date | None, until: date | None
) -> Sequence[ViolationCount]:
    """The counts of a source by day."""
    statement = select(ViolationCount).where(ViolationCount.source_id == source_id)
    if since is not None:
        statement = statement.where(ViolationCount.day >= since)
    if until is not None:
        statement = statement.where(ViolationCount.day <= until)
    return (await session.execute(statement.order_by(ViolationCount.day))).scalars().all()


async def sweep(session: WriteSession) -> int:
    """Delete some of what is older than `KEEP`; how many violations went."""
    await session.execute(_SWEEP_COUNTS, {"keep": KEEP})
    result = await session.execute(_SWEEP, {"keep": KEEP})
    return int(result.rowcount)  # type: ignore[attr-defined]


def _where(source_id: str, wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [Violation.source_id == source_id]
    for column, value in ((Violation.code, wanted.code), (Violation.name, wanted.name)):
        if value is not None:
            found.append(column == value)
    if wanted.outcome is not None:
        found.append(Violation.outcome == wanted.outcome)
    if wanted.since is not None:
        found.append(Violation.at >= wanted.since)
    if wanted.until is not None:
        found.append(Violation.at < wanted.until)
    if wanted.replayed is not None:
        found.append(Violation.replayed_at.is_not(None) if wanted.replayed else Violation.replayed_at.is_(None))
    return found
