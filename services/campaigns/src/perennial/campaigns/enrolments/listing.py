"""Enrolments as they are shown: per today's customer, which the map alone decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from perennial.campaigns.enrolments.models import Enrolment, EnrolmentStep, RefusedEntry
from perennial.common.db import ReadSession
from perennial.common.identity_map import customers_of
from perennial.common.problems import NotFound

_JOURNEY = text("SELECT EXISTS (SELECT FROM journey WHERE id = :id)")


@dataclass(frozen=True)
class Wanted:
    """Filters of a list; `vias` None: everybody's."""

    journey_id: UUID
    vias: Sequence[UUID] | None = None
    state: str | None = None


async def check_journey(session: ReadSession, journey_id: UUID) -> None:
    """Raises NotFound."""
    if not await session.scalar(_JOURNEY, {"id": journey_id}):
        raise NotFound(f"there is no journey {journey_id}", pointer="path/journey_id")


async def listed(session: ReadSession, wanted: Wanted, before: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Enrolments of a journey, newest first, with today's customers."""
    query = select(Enrolment).where(Enrolment.journey_id == wanted.journey_id)
    query = query.order_by(Enrolment.id.desc()).limit(limit)
    if wanted.vias is not None:
        query = query.where(Enrolment.via.in_(wanted.vias))
    if wanted.state is not None:
        query = query.where(Enrolment.state == wanted.state)
    if before is not None:
        query = query.where(Enrolment.id < before)
    return await with_customers(session, list(await session.scalars(query)))


async def open_of(session: ReadSession, vias: Sequence[UUID], limit: int) -> list[dict[str, Any]]:
    """The open enrolments under these identifiers, newest first, with today's customers."""
    query = select(Enrolment).where(Enrolment.via.in_(vias), Enrolment.ended_at.is_(None))
    return await with_customers(session, list(await session.scalars(query.order_by(Enrolment.id.desc()).limit(limit))))


async def refusals(session: ReadSession, wanted: Wanted, before: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Refused entries of a journey, newest first."""
    query = select(RefusedEntry).where(RefusedEntry.journey_id == wanted.journey_id)
    query = query.order_by(RefusedEntry.id.desc()).limit(limit)
    if wanted.vias is not None:
        query = query.where(RefusedEntry.via.in_(wanted.vias))
    if before is not None:
        query = query.where(RefusedEntry.id < before)
    return await with_customers(session, list(await session.scalars(query)))


async def with_customers(session: ReadSession, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows as dictionaries, their `customer_id` replaced by today's."""
    today = await customers_of(session, [row.via for row in rows])
    return [
        {column.key: getattr(row, column.key) for column in row.__table__.columns}
        | {"customer_id": today.get(row.via, row.via)}
        for row in rows
    ]


async def one(session: ReadSession, enrolment_id: UUID) -> dict[str, Any]:
    """One enrolment with its steps. Raises NotFound."""
    found = await session.get(Enrolment, enrolment_id)
    if found is None:
        raise NotFound(f"there is no enrolment {enrolment_id}", pointer="path/enrolment_id")
    query = select(EnrolmentStep).where(EnrolmentStep.enrolment_id == enrolment_id)
    steps = await session.scalars(query.order_by(EnrolmentStep.entered_at, EnrolmentStep.position))
    return (await with_customers(session, [found]))[0] | {"steps": list(steps)}
