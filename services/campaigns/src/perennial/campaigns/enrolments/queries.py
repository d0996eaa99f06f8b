"""Enrolments as SQL, for batches."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, text

from perennial.campaigns.enrolments.models import Enrolment, RefusedEntry
from perennial.common.db import ReadSession, WriteSession
from perennial.common.rules.facts import decode

_HISTORY = text("""
    SELECT c.id, bool_or(e.ended_at IS NULL)
    FROM unnest(CAST(:customers AS uuid[])) AS c(id)
    CROSS JOIN LATERAL (SELECT via FROM identity_map WHERE customer_id = c.id UNION SELECT c.id) AS own
    JOIN enrolment AS e ON e.via = own.via AND e.journey_id = :journey GROUP BY c.id""")
_WALKING = """
    SELECT e.id, e.journey_id, e.version, e.via, coalesce(i.customer_id, e.via) AS customer_id, e.step, e.entered_at,
           e.state, e.due_at, e.ended_at, e.cause, j.state = 'paused' AS paused
    FROM enrolment AS e JOIN journey AS j ON j.id = e.journey_id LEFT JOIN identity_map AS i ON i.via = e.via
    WHERE e.id = ANY(CAST(:ids AS uuid[]))"""
_READ = text(_WALKING)
_LOCKED = text(_WALKING + " ORDER BY e.id FOR UPDATE OF e")
_OPEN_FOR = text("""
    SELECT DISTINCT i.customer_id FROM identity_map AS i JOIN enrolment AS e ON e.via = i.via AND e.ended_at IS NULL
    WHERE i.customer_id = ANY(CAST(:customers AS uuid[]))""")
# A journey is left by what happened after it began, whenever it is heard of: never by the event that began it.
_EXITS = text("""
    SELECT e.id, e.journey_id, e.version, e.via, mine.customer_id, e.step, e.entered_at,
           v.id, v.name, v.at, v.properties::text
    FROM identity_map AS mine
    JOIN enrolment AS e ON e.via = mine.via AND e.ended_at IS NULL
    JOIN journey_version AS j ON j.journey_id = e.journey_id AND j.version = e.version
    JOIN identity_map AS theirs ON theirs.customer_id = mine.customer_id
    JOIN event AS v ON v.via = theirs.via AND v.name = ANY(j.exit_events) AND v.at >= e.since
    WHERE mine.customer_id = ANY(CAST(:customers AS uuid[])) AND v.id IS DISTINCT FROM e.cause_id
    ORDER BY e.id, v.at, v.id""")
# The first of a customer's open walks along a journey, beside each of the others.
_TWINS = text("""
    SELECT id, journey_id, version, via, customer_id, step, entered_at, first FROM (
        SELECT e.id, e.journey_id, e.version, e.via, mine.customer_id, e.step, e.entered_at, first_value(e.id) OVER (
            PARTITION BY mine.customer_id, e.journey_id ORDER BY e.since, e.id) AS first
        FROM identity_map AS mine JOIN enrolment AS e ON e.via = mine.via AND e.ended_at IS NULL
        WHERE mine.customer_id = ANY(CAST(:customers AS uuid[]))) AS walk
    WHERE id <> first ORDER BY id""")
# Walks that somebody else's walk or event has ended, who was the same customer then and is not any more.
_PARTED = text("""
    SELECT e.id, e.journey_id, e.version, e.via, mine.customer_id, e.due_at, e.ended_at
    FROM identity_map AS mine
    JOIN enrolment AS e ON e.via = mine.via AND e.reason IN ('merged', 'exit_event')
    JOIN journey AS j ON j.id = e.journey_id AND j.state IN ('published', 'paused')
    LEFT JOIN enrolment AS first ON first.id = CAST(e.ended_by ->> 'enrolment_id' AS uuid)
    LEFT JOIN event AS v ON v.id = CAST(e.ended_by ->> 'event_id' AS uuid)
    JOIN identity_map AS theirs ON theirs.via = coalesce(first.via, v.via)
    WHERE mine.customer_id = ANY(CAST(:customers AS uuid[])) AND theirs.customer_id <> mine.customer_id
    ORDER BY e.id FOR UPDATE OF e""")
_REOPEN = text("""
    WITH back AS (
        UPDATE enrolment_step AS s SET left_at = NULL, outcome = NULL FROM enrolment AS e
        WHERE e.id = ANY(CAST(:ids AS uuid[])) AND s.enrolment_id = e.id AND s.step = e.step AND s.outcome = 'exited'
        RETURNING e.id)
    UPDATE enrolment AS e SET ended_at = NULL, reason = NULL, ended_by = NULL,
        state = CASE WHEN e.id IN (SELECT id FROM back) THEN 'waiting' ELSE 'active' END
    WHERE e.id = ANY(CAST(:ids AS uuid[]))""")
# When its next step was due stays with a walk that has ended: it may go on.
_MOVE = text("""
    UPDATE enrolment AS e SET step = x.step, state = x.state, ended_at = x.ended_at,
        due_at = CASE WHEN x.ended_at IS NULL THEN x.due_at ELSE e.due_at END, reason = x.reason, ended_by = x.ended_by
    FROM unnest(CAST(:ids AS uuid[]), CAST(:steps AS text[]), CAST(:states AS text[]), CAST(:dues AS timestamptz[]),
                CAST(:ends AS timestamptz[]), CAST(:reasons AS text[]), CAST(:by AS jsonb[]))
        AS x(id, step, state, due_at, ended_at, reason, ended_by)
    WHERE e.id = x.id AND e.ended_at IS NULL""")
_STEPS = text("""
    INSERT INTO enrolment_step (enrolment_id, step, position, entered_at, left_at, outcome)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:steps AS text[]), CAST(:positions AS integer[]),
        CAST(:entered AS timestamptz[]), CAST(:left AS timestamptz[]), CAST(:outcomes AS text[]))
    ON CONFLICT (enrolment_id, step) DO UPDATE SET left_at = excluded.left_at, outcome = excluded.outcome""")
_LEAVE = text("""
    UPDATE enrolment_step SET left_at = :now, outcome = 'exited'
    WHERE enrolment_id = ANY(CAST(:ids AS uuid[])) AND left_at IS NULL""")
# Walks of before say the time of the entry as their beginning alone.
_TAKEN = text("""
    SELECT x.via, x.at FROM unnest(CAST(:vias AS uuid[]), CAST(:times AS timestamptz[])) AS x(via, at)
    JOIN enrolment AS e ON e.via = x.via AND coalesce(CAST(e.cause ->> 'at' AS timestamptz), e.since) = x.at
    WHERE e.journey_id = :journey AND e.cause ->> 'segment_id' = CAST(:segment AS text)
      AND e.cause ->> 'kind' = 'segment'""")
_SHARE = text("SELECT pg_advisory_xact_lock_shared(key) FROM unnest(CAST(:keys AS bigint[])) AS key")
_RUNNING = text("SELECT id FROM journey WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'published'")
_OPEN_OF = text("SELECT id, via, due_at FROM enrolment WHERE journey_id = :journey AND ended_at IS NULL ORDER BY id")
_OPEN_WALKS = text("""
    SELECT e.id, e.journey_id, e.version, e.via, coalesce(i.customer_id, e.via), e.step, e.entered_at
    FROM enrolment AS e LEFT JOIN identity_map AS i ON i.via = e.via
    WHERE e.journey_id = :journey AND e.ended_at IS NULL ORDER BY e.id FOR UPDATE OF e""")
_SWEEP = text("""
    DELETE FROM refused_entry WHERE id IN
    (SELECT id FROM refused_entry WHERE at < now() - interval '30 days' LIMIT :n)""")


@dataclass(frozen=True)
class Ending:
    """An enrolment that may end, with today's customer."""

    id: UUID
    journey_id: UUID
    version: int
    via: UUID
    customer_id: UUID
    step: str
    entered_at: datetime


@dataclass(frozen=True)
class Walking(Ending):
    """All of an enrolment as it stands."""

    state: str
    due_at: datetime | None
    ended_at: datetime | None
    cause: Mapping[str, Any]
    paused: bool


@dataclass(frozen=True)
class Parted:
    """A walk that may go on; when its next step was due, if it waited for an instant."""

    id: UUID
    journey_id: UUID
    version: int
    via: UUID
    customer_id: UUID
    due_at: datetime | None
    ended_at: datetime


@dataclass(frozen=True)
class ExitFact:
    """An event that could end an enrolment."""

    enrolment: Ending
    event_id: UUID
    name: str
    at: datetime
    properties: Mapping[str, object]


@dataclass(frozen=True)
class Move:
    """Where an enrolment stands from now on."""

    id: UUID
    step: str
    state: str
    due_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    ended_by: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StepRow:
    """A step entered, perhaps left already."""

    enrolment_id: UUID
    step: str
    position: int
    entered_at: datetime
    left_at: datetime | None
    outcome: str | None


async def history(session: ReadSession, journey: UUID, customers: Sequence[UUID]) -> dict[UUID, bool]:
    """Who has ever been on the journey, by any identifier and in any version; whether they are on it now."""
    rows = await session.execute(_HISTORY, {"journey": journey, "customers": list(customers)})
    return {customer: is_open for customer, is_open in rows}  # noqa: C416 (rows are not pairs for mypy)


async def taken(
    session: ReadSession, journey: UUID, segment: UUID, entries: Sequence[tuple[UUID, datetime]]
) -> set[tuple[UUID, datetime]]:
    """Those of the entries into a segment (who, when) that a walk along the journey has begun with."""
    vias, times = [who for who, _ in entries], [at for _, at in entries]
    values = {"vias": vias, "times": times, "journey": journey, "segment": str(segment)}
    return {(row[0], row[1]) for row in await session.execute(_TAKEN, values)}


async def walking(session: ReadSession, ids: Sequence[UUID], *, lock: bool = False) -> list[Walking]:
    """Enrolments by id, ended ones included."""
    rows = await session.execute(_LOCKED if lock else _READ, {"ids": list(ids)})
    return [Walking(*row) for row in rows]


async def with_open(session: ReadSession, customers: Sequence[UUID]) -> list[UUID]:
    """Those of the customers who are on any journey."""
    return list((await session.execute(_OPEN_FOR, {"customers": list(customers)})).scalars())


async def exit_facts(session: ReadSession, customers: Sequence[UUID]) -> list[ExitFact]:
    """What could end the journeys of these customers, oldest first."""
    rows = await session.execute(_EXITS, {"customers": list(customers)})
    return [ExitFact(Ending(*row[:7]), row[7], row[8], row[9], decode(row[10])) for row in rows]


async def add(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert enrolments."""
    if rows:
        await session.execute(insert(Enrolment), list(rows))


async def refuse(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    """Note entries that were refused."""
    if rows:
        await session.execute(insert(RefusedEntry), list(rows))


async def move(session: WriteSession, moves: Sequence[Move]) -> None:
    """Write where enrolments stand; ended ones stay as they are."""
    values = {
        "ids": [item.id for item in moves],
        "steps": [item.step for item in moves],
        "states": [item.state for item in moves],
        "dues": [item.due_at for item in moves],
        "ends": [item.ended_at for item in moves],
        "reasons": [item.reason for item in moves],
        "by": [None if item.ended_by is None else json.dumps(dict(item.ended_by), default=str) for item in moves],
    }
    if moves:
        await session.execute(_MOVE, values)


async def twins(session: ReadSession, customers: Sequence[UUID]) -> list[tuple[Ending, UUID]]:
    """Open walks beside an earlier one of the same customer along the same journey, each with the earliest one's id."""
    rows = await session.execute(_TWINS, {"customers": list(customers)})
    return [(Ending(*row[:-1]), row[-1]) for row in rows]


async def parted(session: WriteSession, customers: Sequence[UUID]) -> list[Parted]:
    """Walks of these customers that ended because of somebody who is another customer by now, locked."""
    return [Parted(*row) for row in await session.execute(_PARTED, {"customers": list(customers)})]


async def reopen(session: WriteSession, ids: Sequence[UUID]) -> None:
    """Put ended walks back on the steps on which they stood."""
    await session.execute(_REOPEN, {"ids": list(ids)})


async def put_steps(session: WriteSession, rows: Sequence[StepRow]) -> None:
    """Write steps entered or left; no two of the same enrolment and step."""
    values = {
        "ids": [row.enrolment_id for row in rows],
        "steps": [row.step for row in rows],
        "positions": [row.position for row in rows],
        "entered": [row.entered_at for row in rows],
        "left": [row.left_at for row in rows],
        "outcomes": [row.outcome for row in rows],
    }
    if rows:
        await session.execute(_STEPS, values)


async def leave_steps(session: WriteSession, ids: Sequence[UUID], now: datetime) -> None:
    """The steps on which these enrolments stood were left by an exit."""
    await session.execute(_LEAVE, {"ids": list(ids), "now": now})


async def share(session: WriteSession, keys: Sequence[int]) -> None:
    """Take advisory locks beside others who share them, in ascending order, until the transaction ends."""
    await session.execute(_SHARE, {"keys": sorted(keys)})


async def running(session: ReadSession, journeys: Sequence[UUID]) -> set[UUID]:
    """Those of the journeys that are published, as of now."""
    return set((await session.execute(_RUNNING, {"ids": list(journeys)})).scalars())


async def open_of(session: ReadSession, journey: UUID) -> list[tuple[UUID, UUID, datetime | None]]:
    """Id, via and due instant of everybody on a journey."""
    return [(row[0], row[1], row[2]) for row in await session.execute(_OPEN_OF, {"journey": journey})]


async def open_walks(session: WriteSession, journey: UUID) -> list[Ending]:
    """Everybody on a journey, locked."""
    return [Ending(*row) for row in await session.execute(_OPEN_WALKS, {"journey": journey})]


async def sweep_refusals(session: WriteSession, n: int) -> int:
    """Delete up to `n` refusals older than 30 days."""
    return int((await session.execute(_SWEEP, {"n": n})).rowcount)  # type: ignore[attr-defined]
