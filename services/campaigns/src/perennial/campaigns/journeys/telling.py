"""What other services are told of journeys: which segments each asks for."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from perennial.campaigns.journeys import queries
from perennial.campaigns.journeys.models import Journey
from perennial.common import rule_states, rules
from perennial.common.contracts.base import RuleState
from perennial.common.contracts.campaigns import RulesChanged
from perennial.common.db import WriteSession
from perennial.common.runtime import Runtime
from perennial.common.service import Job

KIND = "journey"
AT_ONCE = 200


async def tell(session: WriteSession, journeys: Sequence[Journey]) -> None:
    """Say how journeys stand: by the draft, by what is published, and by versions on which somebody still is."""
    running = await queries.asking(session, [journey.id for journey in journeys])
    asked = {journey.id: set[UUID]() for journey in journeys}
    for journey in journeys:
        if journey.state != "archived":
            for definition in (journey.definition, *running.get(journey.id, ())):
                asked[journey.id] |= segments_of(definition)
    states = [
        RuleState(
            kind=KIND,
            id=str(journey.id),
            name=journey.name,
            state=journey.state,
            segments=sorted(asked[journey.id]),
            version=journey.revision,
        )
        for journey in journeys
    ]
    await rule_states.tell(session, RulesChanged, states)


def segments_of(definition: Mapping[str, Any]) -> set[UUID]:
    """The segments that a definition begins with or asks for."""
    trigger = definition["trigger"]
    found = {UUID(trigger["segment"])} if "segment" in trigger else set[UUID]()
    for step in definition["steps"]:
        if step["kind"] == "condition":
            found |= rules.footprint(rules.parse(step["rule"])).segments
    return found


async def tell_all(runtime: Runtime) -> None:
    """Say it of every journey: of those that were there before, and of versions that everybody has left meanwhile."""
    last: UUID | None = None
    while not runtime.stopping.is_set():
        async with runtime.database.write() as session:
            journeys = await queries.listed(session, None, last, AT_ONCE)
            await tell(session, journeys)
        if len(journeys) < AT_ONCE:
            return
        last = journeys[-1].id


TELL = Job("tell", timedelta(days=1), tell_all)
