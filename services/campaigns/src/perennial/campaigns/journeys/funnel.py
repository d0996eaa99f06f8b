"""How far people came: enrolments by state and reason, steps by outcome."""

from collections import Counter
from typing import Any

from perennial.campaigns.journeys import queries
from perennial.campaigns.journeys.models import Journey, JourneyVersion
from perennial.campaigns.plans.definition import read
from perennial.campaigns.plans.plan import Plan
from perennial.common.db import ReadSession
from perennial.common.problems import NotFound

OPEN = {"active", "waiting"}


async def funnel(session: ReadSession, journey: Journey, version: int | None) -> dict[str, Any]:
    """The funnel of one version, or of all of them, whose steps are then joined by their ids. Raises NotFound."""
    states = await queries.states(session, journey.id, version)
    exited = Counter[str]()
    for state, reason, count in states:
        if state == "exited":
            exited[reason or "exit"] += count
    return {
        "journey_id": journey.id,
        "version": version,
        "enrolled": sum(count for _, _, count in states),
        "active": sum(count for state, _, count in states if state in OPEN),
        "completed": sum(count for state, _, count in states if state == "completed"),
        "exited": dict(exited),
        "refused": await queries.refused(session, journey.id),
        "steps": await _steps(session, journey, version),
    }


async def _steps(session: ReadSession, journey: Journey, version: int | None) -> list[dict[str, Any]]:
    counts = await queries.step_counts(session, journey.id, version)
    shown = await _shown(session, journey, version)
    steps = {step.id: _step(step.id, step.kind) for step in shown.definition.steps}
    for count in counts:
        step = steps.setdefault(count.step, _step(count.step, "removed"))
        step["entered"] += count.count
        if count.outcome is None:
            step["here"] += count.count
        else:
            step["outcomes"][count.outcome] = count.count
    return list(steps.values())


def _step(name: str, kind: str) -> dict[str, Any]:
    return {"id": name, "kind": kind, "entered": 0, "here": 0, "outcomes": {}}


async def _shown(session: ReadSession, journey: Journey, version: int | None) -> Plan:
    """The version whose steps are listed: the one asked for, else the published one, else the draft."""
    number = version or journey.published_version
    found = await session.get(JourneyVersion, (journey.id, number)) if number else None
    if found is None and version is not None:
        raise NotFound(f"version: {version} was never published", pointer="query/version")
    return Plan(journey.id, number or 0, read(found.definition if found else journey.definition))
