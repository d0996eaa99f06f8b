"""Journeys as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from perennial.campaigns.journeys.models import Journey, JourneyVersion
from perennial.common.db import ReadSession

_LIVING = text("""
    SELECT v.journey_id, v.version FROM journey_version AS v JOIN journey AS j ON j.id = v.journey_id
    WHERE j.state <> 'archived'""")
_STATES = text("""
    SELECT state, reason, count(*) FROM enrolment
    WHERE journey_id = :journey AND (CAST(:version AS integer) IS NULL OR version = :version) GROUP BY state, reason""")
_STEPS = text("""
    SELECT s.step, min(s.position), s.outcome, count(*)
    FROM enrolment AS e JOIN enrolment_step AS s ON s.enrolment_id = e.id
    WHERE e.journey_id = :journey AND (CAST(:version AS integer) IS NULL OR e.version = :version)
    GROUP BY s.step, s.outcome ORDER BY min(s.position), s.step""")
# What is published, and whatever else somebody is on, of those alone that have something to do with segments.
_ASKING = text("""
    SELECT v.journey_id, v.definition FROM journey AS j JOIN journey_version AS v ON v.journey_id = j.id
    WHERE j.id = ANY(CAST(:journeys AS uuid[])) AND j.state <> 'archived'
      AND jsonb_path_exists(v.definition, '$.**.segment') AND (v.version = j.published_version OR EXISTS (
          SELECT FROM enrolment AS e
          WHERE e.journey_id = v.journey_id AND e.version = v.version AND e.ended_at IS NULL))
    ORDER BY v.journey_id, v.version""")
_REFUSED = text("SELECT reason, count(*) FROM refused_entry WHERE journey_id = :journey GROUP BY reason")


@dataclass(frozen=True)
class StepCount:
    """How many entered a step and left it with an outcome (None: are still there)."""

    step: str
    position: int
    outcome: str | None
    count: int


async def listed(session: ReadSession, state: str | None, before: UUID | None, limit: int) -> list[Journey]:
    """Journeys, newest first."""
    query = select(Journey).order_by(Journey.id.desc()).limit(limit)
    if state is not None:
        query = query.where(Journey.state == state)
    if before is not None:
        query = query.where(Journey.id < before)
    return list(await session.scalars(query))


async def versions(session: ReadSession, journey: UUID, before: int | None, limit: int) -> list[JourneyVersion]:
    """The published versions of a journey, newest first."""
    query = select(JourneyVersion).where(JourneyVersion.journey_id == journey)
    query = query.order_by(JourneyVersion.version.desc()).limit(limit)
    if before is not None:
        query = query.where(JourneyVersion.version < before)
    return list(await session.scalars(query))


async def last_version(session: ReadSession, journey: UUID) -> int:
    """The number of the newest version; 0 before the first."""
    query = select(func.coalesce(func.max(JourneyVersion.version), 0)).where(JourneyVersion.journey_id == journey)
    return int((await session.execute(query)).scalar_one())


async def living_versions(session: ReadSession) -> list[tuple[UUID, int]]:
    """Every version on which somebody may be or come."""
    return [(row[0], row[1]) for row in await session.execute(_LIVING)]


async def asking(session: ReadSession, journeys: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """The definitions by which these journeys run and that may ask for segments."""
    found: dict[UUID, list[dict[str, Any]]] = {}
    for journey, definition in await session.execute(_ASKING, {"journeys": list(journeys)}):
        found.setdefault(journey, []).append(definition)
    return found


async def states(session: ReadSession, journey: UUID, version: int | None) -> list[tuple[str, str | None, int]]:
    """Enrolments by state and reason."""
    rows = await session.execute(_STATES, {"journey": journey, "version": version})
    return [(row[0], row[1], row[2]) for row in rows]


async def step_counts(session: ReadSession, journey: UUID, version: int | None) -> list[StepCount]:
    """Steps entered, by outcome."""
    return [StepCount(*row) for row in await session.execute(_STEPS, {"journey": journey, "version": version})]


async def refused(session: ReadSession, journey: UUID) -> dict[str, int]:
    """Entries refused in the last 30 days, by reason."""
    return {row[0]: row[1] for row in await session.execute(_REFUSED, {"journey": journey})}
