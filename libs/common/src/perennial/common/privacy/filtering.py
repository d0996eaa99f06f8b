"""What was in flight when somebody was erased is not written again."""

import functools
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, get_args, get_origin
from uuid import UUID

import structlog
from opentelemetry import metrics
from sqlalchemy import text

from perennial.common.contracts.identity import ResolvedEvent
from perennial.common.db import ReadSession
from perennial.common.db.arrays import array

log = structlog.get_logger()
dropped = metrics.get_meter("perennial").create_counter(
    "perennial.events.erased", description="Events of erased persons, not handled."
)

_GONE = text("SELECT via FROM erased WHERE via = ANY(CAST(CAST(:vias AS text) AS uuid[]))")


async def gone(session: ReadSession, vias: Iterable[UUID]) -> set[UUID]:
    """Those of these identifiers that are erased."""
    return set((await session.execute(_GONE, {"vias": array(list(vias))})).scalars())


async def remaining(session: ReadSession, events: Sequence[Any]) -> list[Any]:
    """The events without those that one erased person is a subject of; from a list of several people's it takes theirs.

    A list that is left empty is left out.
    """
    said: dict[int, UUID] = {}  # by the integer: hashing a UUID is slow
    for event in events:
        if event.__class__ is ResolvedEvent:  # many, and it has but one
            said[event.via.int] = event.via
        else:
            said.update((whose.int, whose) for whose in _whose(event))
    erased = await gone(session, said.values()) if said else set()
    if not erased:
        return list(events)
    kept = [left for event in events if (left := _without(event, erased)) is not None]
    dropped.add(len(events) - len(kept))
    log.info("events.erased", count=len(events) - len(kept))
    return kept


SUBJECTS, SIDES = ("via", "customer"), ("survivor", "merged", "separated")


def _whose(event: Any) -> Iterable[UUID]:
    """Whom an event is about: by one name, of both sides of a merge, or of each item of its list."""
    if isinstance(event, ResolvedEvent):  # many, and it has but one
        return (event.via,)
    field = _list_of(event.__class__)
    if field is not None:
        return [whose for item in getattr(event, field) for whose in _named(item, SUBJECTS)]
    return _named(event, SUBJECTS) or _named(event, SIDES)


def _named(said: Any, names: Iterable[str]) -> list[UUID]:
    if hasattr(said, "erasure_id"):  # a second erasure of the same person has its answers too
        return []
    found = [whose for name in names if isinstance(whose := getattr(said, name, None), UUID)]
    return found[:1] if names is SUBJECTS else found


def _without(event: Any, erased: set[UUID]) -> Any:
    field = _list_of(event.__class__)
    if field is None:
        return None if erased.intersection(_whose(event)) else event
    items = getattr(event, field)
    left = [item for item in items if not erased.intersection(_named(item, SUBJECTS))]
    if len(left) == len(items):
        return event
    return event.model_copy(update={field: left}) if left else None


@functools.cache
def _list_of(contract: Hashable) -> str | None:
    """The field of a fact that lists what is said of several people."""
    fields: dict[str, Any] = getattr(contract, "model_fields", {})
    if not fields.keys().isdisjoint(SUBJECTS):
        return None
    for name, info in fields.items():
        if get_origin(info.annotation) is list and any(
            not getattr(part, "model_fields", {}).keys().isdisjoint(SUBJECTS) for part in get_args(info.annotation)
        ):
            return name
    return None
