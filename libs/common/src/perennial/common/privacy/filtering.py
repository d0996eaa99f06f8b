"""What was in flight when somebody was erased is not written again."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common.db import ReadSession

log = structlog.get_logger()
dropped = metrics.get_meter("perennial").create_counter(
    "perennial.events.erased", description="Events of erased persons, not handled."
)

_GONE = text("SELECT via FROM erased WHERE via = ANY(CAST(:vias AS uuid[]))")


async def gone(session: ReadSession, vias: Iterable[UUID]) -> set[UUID]:
    """Those of these identifiers that are erased."""
    return set((await session.execute(_GONE, {"vias": list(vias)})).scalars())


async def remaining(session: ReadSession, events: Sequence[Any]) -> list[Any]:
    """The events without those that one erased person is the subject of."""
    said = {whose.int: whose for event in events if (whose := _whose(event))}  # hashing a UUID is slow
    erased = await gone(session, said.values()) if said else set()
    if not erased:
        return list(events)
    kept = [event for event in events if _whose(event) not in erased]
    dropped.add(len(events) - len(kept))
    log.info("events.erased", count=len(events) - len(kept))
    return kept


def _whose(event: Any) -> UUID | None:
    if hasattr(event, "erasure_id"):  # a second erasure of the same person has its answers too
        return None
    found = getattr(event, "via", None)
    if found is None:
        found = getattr(event, "customer", None)
    return found if isinstance(found, UUID) else None
