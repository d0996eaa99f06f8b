"""What happened to two customers known by four identifiers, in an order of its own."""

import os
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from libs.common.tests.rules.drawn.values import CUSTOMERS, DAY, INSTANTS, NOW, SEGMENTS, VIAS, properties, values
from perennial.common.rules import Occurrence, View
from perennial.common.rules.facts import EventFact, TraitFact, record_events, record_traits

searched = settings(
    max_examples=int(os.environ.get("PERENNIAL_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
ZONES = ["Pacific/Auckland", "Etc/GMT+12", "America/New_York", "Asia/Kathmandu", "UTC"]
zones = st.sampled_from([*ZONES, "asia/shanghai", "EST", "UTC+3", "", "localtime", "Nowhere/Land", 5, None])
trait_facts = st.lists(
    st.builds(
        lambda via, fact, *said: TraitFact(via, *fact, *said), st.sampled_from(VIAS),
        st.tuples(st.sampled_from(["plan", "createdAt", "created_at", "address", "items", "tags", "stage"]), values)
        | st.tuples(st.sampled_from(["timezone", "timeZone"]), zones),
        st.sampled_from([NOW, NOW - DAY]), st.sampled_from(["a", "B", "é"]), st.sampled_from(["1", "Z", "a"]),
    ),
    min_size=4, max_size=12,
)  # fmt: skip
event_facts = st.lists(
    st.builds(
        lambda via, name, at, said: (via, name, at, said),
        st.sampled_from(VIAS),
        st.sampled_from(["Order Completed", "Page"]),
        st.sampled_from([at for at in INSTANTS if at <= NOW]) | st.sampled_from(INSTANTS),
        properties,
    ),
    min_size=4,
    max_size=12,
).map(lambda rows: [EventFact(UUID(int=n), *row) for n, row in enumerate(rows, 1)])
owners = st.lists(st.sampled_from(CUSTOMERS), min_size=2, max_size=2).map(
    lambda chosen: dict(zip(VIAS, [*CUSTOMERS, *chosen], strict=True))
)
members = st.sets(st.tuples(st.sampled_from(SEGMENTS), st.sampled_from(CUSTOMERS)))


@st.composite
def histories(draw: st.DrawFn) -> "History":
    return History(draw(owners), draw(trait_facts), draw(event_facts), draw(members))


@dataclass(frozen=True)
class History:
    """Facts as they were recorded, in that order."""

    owners: dict[UUID, UUID]
    traits: list[TraitFact]
    events: list[EventFact]
    members: set[tuple[UUID, UUID]]

    def view(self, customer: UUID) -> View:
        latest: dict[str, tuple[Any, ...]] = {}
        for n, fact in enumerate(self.traits):
            key = fact.key.replace("createdAt", "created_at").replace("timeZone", "time_zone")
            stamp = (fact.at, fact.source, fact.message_id, fact.via, n)
            if self.owners[fact.via] == customer and latest.get(key, (stamp,))[0] <= stamp:
                latest[key] = (stamp, fact.value)
        events: dict[str, list[Occurrence]] = {}
        for event in sorted(self.events, key=lambda event: event.at):
            if self.owners[event.via] == customer:
                events.setdefault(event.name, []).append(Occurrence(event.at, cast("dict[str, Any]", event.properties)))
        segments = {segment for segment, member in self.members if member == customer}
        return View(customer, {key: value for key, (_, value) in latest.items()}, events, segments)

    async def write(self, session: AsyncSession) -> None:
        await session.execute(
            text(
                "INSERT INTO identity_map SELECT v, c, 1 FROM unnest(CAST(:v AS uuid[]), CAST(:c AS uuid[])) AS r(v, c)"
            ),
            {"v": list(self.owners), "c": list(self.owners.values())},
        )
        await record_traits(session, self.traits)
        await record_events(session, self.events)
        await session.execute(
            text("INSERT INTO membership SELECT * FROM unnest(CAST(:s AS uuid[]), CAST(:c AS uuid[]))"),
            {"s": [segment for segment, _ in self.members], "c": [customer for _, customer in self.members]},
        )
