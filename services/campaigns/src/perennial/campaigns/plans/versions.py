"""Published versions as plans, cached: a version never changes."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from perennial.campaigns.plans.definition import read
from perennial.campaigns.plans.plan import Plan
from perennial.common.db import ReadSession

MOST_CACHED = 500
Key = tuple[UUID, int]

_cached: OrderedDict[Key, Plan] = OrderedDict()
_LOAD = text("""
    SELECT v.journey_id, v.version, v.definition
    FROM unnest(CAST(:journeys AS uuid[]), CAST(:versions AS integer[])) AS wanted(journey_id, version)
    JOIN journey_version AS v USING (journey_id, version)""")
_TRIGGERED = """
    SELECT v.journey_id, v.version FROM journey AS j
    JOIN journey_version AS v ON v.journey_id = j.id AND v.version = j.published_version
    WHERE j.state = 'published' AND """
_BY_EVENT = text(_TRIGGERED + "v.trigger_event = ANY(CAST(:wanted AS text[])) ORDER BY v.journey_id")
_BY_SEGMENT = text(_TRIGGERED + "v.trigger_segment = ANY(CAST(:wanted AS uuid[])) ORDER BY v.journey_id")


async def plans(session: ReadSession, keys: Iterable[Key]) -> dict[Key, Plan]:
    """The plans of these versions, which must have been committed: they are remembered."""
    wanted = set(keys)
    _cached.update(await loaded(session, [key for key in wanted if key not in _cached]))
    answer = {}
    for key in wanted:
        answer[key] = _cached[key]
        _cached.move_to_end(key)
    while len(_cached) > MOST_CACHED:
        _cached.popitem(last=False)
    return answer


async def loaded(session: ReadSession, keys: Sequence[Key]) -> dict[Key, Plan]:
    """The plans of these versions, as this transaction sees them."""
    if not keys:
        return {}
    wanted = {"journeys": [journey for journey, _ in keys], "versions": [version for _, version in keys]}
    rows = await session.execute(_LOAD, wanted)
    return {(row[0], row[1]): Plan(row[0], row[1], read(row[2])) for row in rows}


async def triggered_by_events(session: ReadSession, names: Sequence[str]) -> list[Plan]:
    """What runs today and begins with one of these events."""
    return await _triggered(session, _BY_EVENT, names)


async def triggered_by_segments(session: ReadSession, segments: Sequence[UUID]) -> list[Plan]:
    """What runs today and begins with entering one of these segments."""
    return await _triggered(session, _BY_SEGMENT, segments)


async def _triggered(session: ReadSession, statement: Any, wanted: Sequence[object]) -> list[Plan]:
    if not wanted:
        return []
    rows = await session.execute(statement, {"wanted": list(wanted)})
    keys = [(journey, version) for journey, version in rows]
    found = await plans(session, keys)
    return [found[key] for key in keys]
